"""Build simulators, once for each engine."""

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from summand.isa import EngineConfig
from summand.verilated.tools import ToolError, Verilator, find_verilator

__all__ = ["TOP", "build_library", "default_cache", "engine_verilog"]

#: Name of the top module.
TOP = "summand"

# Rows and columns stay functions of their own, compiled once however many there are: eight rows
# build in less time than one row flattened, and run a little faster.
_CONTROL = f"""\
`verilator_config
no_inline -module "{TOP}_row"
no_inline -module "{TOP}_column"
"""

_VERILATOR_FLAGS = (
    "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal", "-Wno-lint",
    "-Wno-ALWNEVER",
)  # fmt: skip

# -O2 takes a tenth longer than -O1 to build and runs a tenth faster; -O3 and the build machine's
# own instructions bring nothing. What runs only once is not worth the compiler's time.
_MAKE_FLAGS = ("OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")

_HARNESS = Path(__file__).with_name("harness.cpp")

#: Simulators kept; the least recently used go first.
_KEEP = 64


def default_cache() -> Path:
    """Return the folder for built simulators, under ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "summand" / "simulators"


@functools.lru_cache(maxsize=8)
def engine_verilog(config: EngineConfig) -> str:
    """Return the Verilog of ``config``'s engine, the same that ``summand generate`` writes."""
    from summand.rtl.axi import AxiEngine  # here: a second to import
    from summand.rtl.emit import emit_verilog

    return emit_verilog(AxiEngine(config), name=TOP, config=config)


def build_library(
    config: EngineConfig,
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    anew: bool = False,
) -> Path:
    """Return the shared library that simulates ``config``'s engine, building it if need be.

    Libraries are kept by content: Verilog, harness, flags and Verilator's version. Any number of
    processes may ask at once; one builds and the others wait.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    cache : Path, optional
        Where to keep it; :func:`default_cache` if not given.
    progress : callable, optional
        Called with a line of text when something starts that takes seconds.
    anew : bool
        Build even if it is there, because what is there cannot be used.

    Raises
    ------
    ToolError
        If a tool is missing or fails.
    """
    tool = find_verilator()
    source = engine_verilog(config)
    folder = cache or default_cache()
    library = folder / f"{_digest(source, tool, config)}.so"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(library.with_suffix(".lock")):
            if anew or not library.exists():
                if progress:
                    progress("building the simulator (once for each engine)")
                _build(source, tool, config, library)
                _prune(folder)
            os.utime(library)
    except OSError as e:
        raise ToolError(
            f"cannot keep a simulator in {folder}: {e.strerror}; make room there, or set "
            "XDG_CACHE_HOME to a folder that can be written"
        ) from None
    return library


def _digest(source: str, tool: Verilator, config: EngineConfig) -> str:
    parts = (source, _HARNESS.read_text(), _CONTROL, *_arguments(config), *_MAKE_FLAGS)
    whole = hashlib.sha256(tool.version.encode())
    for part in parts:
        whole.update(hashlib.sha256(part.encode()).digest())
    return whole.hexdigest()[:32]


def _arguments(config: EngineConfig) -> tuple[str, ...]:
    return (
        *("--cc", "--exe", "--top-module", TOP, "--prefix", "Vsummand", "-Mdir", "obj"),
        *_VERILATOR_FLAGS,
        *("-CFLAGS", f"-fPIC -DSUMMAND_BEAT_BYTES={config.beat_bytes}", "-LDFLAGS", "-shared"),
    )


def _build(source: str, tool: Verilator, config: EngineConfig, library: Path) -> None:
    """Build in a folder of its own beside ``library`` and move the result there when it is done."""
    with tempfile.TemporaryDirectory(dir=library.parent, prefix="build-") as name:
        folder = Path(name)
        (folder / f"{TOP}.v").write_text(source)
        (folder / "control.vlt").write_text(_CONTROL)
        shutil.copy(_HARNESS, folder)
        verilate = [tool.executable, *_arguments(config), f"{TOP}.v", "control.vlt", _HARNESS.name]
        make = ["make", "-C", "obj", "-f", "Vsummand.mk", f"-j{os.cpu_count() or 1}", *_MAKE_FLAGS]
        for command in (verilate, make):
            _run(command, folder, tool)
        (folder / "obj" / "Vsummand").replace(library)


def _run(command: list[str], folder: Path, tool: Verilator) -> None:
    done = subprocess.run(
        command, cwd=folder, env=tool.environment(), capture_output=True, text=True
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise ToolError(
            f"{Path(command[0]).name} ({tool.version}) could not build the simulator; "
            f"it ended with status {done.returncode} and said:\n{tail}"
        )


def _prune(folder: Path) -> None:
    libraries = sorted(folder.glob("*.so"), key=lambda path: path.stat().st_mtime, reverse=True)
    for library in libraries[_KEEP:]:
        library.unlink(missing_ok=True)
        library.with_suffix(".lock").unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
