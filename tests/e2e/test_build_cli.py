"""``summand build``, as a user runs it, with stand-ins for Yosys, nextpnr and ecppack."""

import functools
import hashlib
import json
import os
import sys
from importlib import resources
from pathlib import Path

import pytest

from summand.boards.files import board_files
from summand.cli import main
from summand.isa import EngineConfig
from summand.synth.tools import find_tool

pytestmark = pytest.mark.needs("amaranth-boards")

SMALL = EngineConfig(cols=4, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16)
FILES = {
    "config.json",
    "manifest.json",
    "summand_board.v",
    "summand_top.bit",
    "summand_top.lpf",
    "summand_top.v",
}

#: A stand-in that writes files like the real tools', as ``plan.json`` says, and counts its runs.
STAND_IN = """\
import json, pathlib, re, sys
here, name, words = pathlib.Path({folder!r}), {name!r}, sys.argv[1:]
plan = json.loads((here / "plan.json").read_text())
if words[0] in ("-V", "--version"):
    print(plan["says"][name])
    sys.exit()
with (here / "runs.txt").open("a") as runs:
    print(name, file=runs)
if name == "yosys":
    cells = {{"\\\\summand_top": {{"num_cells_by_type": plan["cells"]}}}}
    first = pathlib.Path("summand_board.v").read_text().splitlines()[0]
    for file in re.findall(r"[\\w.-]+\\.json", " ".join(words)):
        pathlib.Path(file).write_text(json.dumps({{"modules": cells, "of": first}}))
elif name == "nextpnr-ecp5":
    option = dict(zip(words, words[1:]))
    achieved = plan["mhz"][option["--seed"]]
    if achieved is None:
        sys.exit("ERROR: Unable to place cell")
    cells = ("TRELLIS_COMB", "TRELLIS_FF", "TRELLIS_RAMW", "DP16KD", "MULT18X18D")
    pathlib.Path(option["--report"]).write_text(json.dumps({{
        "utilization": {{cell: {{"used": 7, "available": 100}} for cell in cells}},
        "fmax": {{"clk": {{"achieved": achieved, "constraint": float(option["--freq"])}}}},
        "critical_paths": [],
    }}))
    pathlib.Path(option["--textcfg"]).write_text(option["--seed"])
else:
    pathlib.Path(words[-1]).write_bytes(b"bits of seed " + pathlib.Path(words[-2]).read_bytes())
"""

SAYS = {
    "yosys": "Yosys 0.70 (git sha1 abc)",
    "nextpnr-ecp5": '"nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.11)',
    "ecppack": "Project Trellis ecppack Version 1.4",
}


class Bench:
    """A folder with tools, and a way to call the command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]):
        self._folder = folder
        self._capsys = capsys
        self.out = folder / "out"
        self.config = folder / "engine.json"
        self.config.write_text(SMALL.to_json())
        self.plan(mhz={"1": 80.0})
        for name in SAYS:
            script = folder / f"{name}.py"
            script.write_text(STAND_IN.format(folder=str(folder), name=name))
            tool = folder / name
            tool.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
            tool.chmod(0o755)

    def plan(self, *, mhz=None, cells=None, says=None):
        """Set how the tools behave."""
        find_tool.cache_clear()
        plan = {"mhz": mhz or {}, "cells": cells or {"LUT4": 100}, "says": SAYS | (says or {})}
        (self._folder / "plan.json").write_text(json.dumps(plan))

    def build(self, *args: object, board="ulx3s-85f"):
        """Return status, output and errors."""
        arguments = ["--board", board, "--config", self.config, "-o", self.out, *args]
        status = main(["build", *map(str, arguments)])
        out, err = self._capsys.readouterr()
        return status, out, " ".join(err.split())

    def runs(self) -> list[str]:
        """Return which tools have run since the last call."""
        file = self._folder / "runs.txt"
        runs = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return runs

    def files(self) -> set[str]:
        return {path.name for path in self.out.iterdir() if path.is_file()}


@functools.cache
def _board_files(board, config, technology, **design):
    return board_files(board, config, technology, **design)


@pytest.fixture
def bench(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("summand.boards.files.board_files", _board_files)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "builtin")  # it writes Verilog with the real one
    yield Bench(tmp_path, capsys)
    find_tool.cache_clear()


def test_a_bitstream(bench):
    status, out, _ = bench.build("--json")
    assert status == 0
    assert bench.files() == FILES
    manifest = json.loads((bench.out / "manifest.json").read_text())
    shown = json.loads(out)
    assert {key: shown[key] for key in manifest} == manifest
    for name, entry in manifest["files"].items():
        data = (bench.out / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (entry["sha256"], entry["bytes"])
    assert (bench.out / "summand_top.bit").read_bytes() == b"bits of seed 1"
    assert manifest["digest"] == SMALL.digest
    assert manifest["clocks"] == {"clk": {"achieved_mhz": 80.0, "constraint_mhz": 25.0}}
    assert manifest["used"]["luts"] == 7
    assert EngineConfig.load(bench.out / "config.json") == SMALL


@pytest.mark.needs("litedram")
def test_a_bitstream_whose_memory_holds_the_weights(bench):
    bench.plan(mhz={"1": 95.0})
    status, out, _ = bench.build("--memory", "--json")
    assert status == 0
    assert bench.files() == FILES | {"summand_dram.v"}
    manifest = json.loads(out)
    assert manifest["memory"]
    assert manifest["clocks"] == {"clk": {"achieved_mhz": 95.0, "constraint_mhz": 90.0}}
    top = (bench.out / "summand_top.v").read_text()
    assert "summand_dram" in top
    assert "sdram_0__dq__io" in top


@pytest.mark.needs("liteeth")
def test_a_bitstream_of_a_board_on_the_network(bench):
    status, out, _ = bench.build("--ethernet", board="ecpix5-85f")
    assert status == 0
    assert "Then it is the device udp:192.168.1.50:2000" in out
    assert bench.files() == FILES | {"summand_ethernet.v"}
    manifest = json.loads((bench.out / "manifest.json").read_text())
    assert not manifest["memory"]
    assert manifest["ethernet"]["mac_address"] == "10:e2:d5:00:00:00"
    top, pins = ((bench.out / f"summand_top.{kind}").read_text() for kind in ("v", "lpf"))
    assert "summand_ethernet" in top
    assert "uart_0" not in top + pins
    assert pins.count("eth_rgmii_0__tx") == 2 * 6


@pytest.mark.needs("liteeth")
def test_a_file_whose_link_is_ethernet_needs_no_option(bench, tmp_path):
    """And the engine's rate on its link is what projections know of it."""
    text = (resources.files("summand.boards") / "library/ecpix5-85f.toml").read_text()
    old, new = 'kind = "uart"\nbaud = 3_000_000', 'kind = "ethernet"\nreached_bytes_s = 1e8'
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new))
    status, out, _ = bench.build("--json", board=file)
    assert status == 0
    assert bench.files() == FILES | {"summand_ethernet.v"}
    assert json.loads(out)["ethernet"]["ip_address"] == "192.168.1.50"


def test_a_board_that_is_not_on_the_network(bench):
    status, out, errors = bench.build("--ethernet")
    assert (status, out) == (2, "")
    assert "the file of ulx3s-85f has no [ethernet], its transceiver and addresses: build" in errors
    assert bench.runs() == []
    assert not bench.out.exists()


@pytest.mark.needs("litedram", "liteeth")
def test_a_board_on_the_network_whose_memory_holds_the_weights(bench):
    """All runs on the memory's clock, which LiteEth's core is told."""
    bench.config.write_text('{"cols": 4, "depth": 32, "stream_bits": 128}')
    bench.plan(mhz={"1": 80.0})
    status, out, _ = bench.build("--memory", "--ethernet", "--json", board="ecpix5-85f")
    assert status == 0
    assert bench.files() == FILES | {"summand_dram.v", "summand_ethernet.v"}
    assert json.loads(out)["clocks"] == {"clk": {"achieved_mhz": 80.0, "constraint_mhz": 75.0}}
    top = (bench.out / "summand_top.v").read_text()
    board = top[top.index("summand_board ") :]
    board = board[: board.index(");")]
    ports = ("native__cmd__valid", "control__adr", "source_data", "sink_last_be", "clk", "rst")
    assert all(f".{port}(" in board for port in ports)


def test_a_board_whose_memory_is_not_described(bench, tmp_path):
    text = (resources.files("summand.boards") / "library/ulx3s-85f.toml").read_text()
    start = text.index("[memory.dram]")
    file = tmp_path / "mine.toml"
    file.write_text(text[:start] + text[text.index("[link]") :])
    status, _, errors = bench.build("--memory", board=file)
    assert status == 2
    assert "the file of mine has no [memory.dram], its memory in full" in errors
    assert not bench.out.exists() or not bench.files()


def test_nothing_is_done_twice(bench):
    assert bench.build()[0] == 0
    assert bench.runs() == ["yosys", "nextpnr-ecp5", "ecppack"]
    (bench.out / "summand_top.bit").unlink()
    status, out, _ = bench.build()
    assert status == 0
    assert bench.runs() == []
    assert bench.files() == FILES
    assert "80.0 MHz reached, 25 MHz needed (seed 1)" in out
    assert f"summand program ulx3s-85f --bitstream {bench.out}" in out


def test_seeds_are_tried_in_turn(bench):
    bench.plan(mhz={"1": 20.0, "5": 30.0, "6": 40.0})
    args = [word for seed in (1, 5, 6) for word in ("--seed", seed)]
    status, out, _ = bench.build(*args, "--json")
    assert status == 0
    assert bench.runs() == ["yosys", "nextpnr-ecp5", "nextpnr-ecp5", "ecppack"]
    assert (bench.out / "summand_top.bit").read_bytes() == b"bits of seed 5"
    report = json.loads(out)
    assert (report["seed"], report["missed"]) == (5, {"1": 20.0})


def test_a_missed_clock_leaves_no_bitstream(bench):
    """A bitstream of an earlier build is removed too."""
    assert bench.build()[0] == 0
    bench.plan(mhz={"2": 21.0, "3": 22.5})
    status, out, err = bench.build("--seed", 2, "--seed", 3)
    assert (status, out) == (2, "")
    assert "timing missed on ulx3s-85f, so there is no bitstream: 22.5 MHz reached with" in err
    assert "seed 3 of 2, 3, 25 MHz needed. Try other seeds (--seed 4 --seed 5 --seed 6)" in err
    assert bench.files() == set()
    assert "ecppack" not in bench.runs()[3:]
    assert not list((bench.out / "work").glob("*/*.bit.part"))


def test_another_design_removes_the_bitstream_before_it_begins(bench):
    assert bench.build()[0] == 0
    bench.plan(mhz={"1": None})
    bench.config.write_text('{"cols": 4, "depth": 32, "stream_bits": 32}')
    status, _, err = bench.build()
    assert status == 2
    assert "Unable to place cell" in err
    assert bench.files() == set()


def test_an_interrupted_build_goes_on(bench):
    bench.plan(mhz={"1": None})
    assert bench.build()[0] == 2
    assert bench.runs() == ["yosys", "nextpnr-ecp5"]
    bench.plan(mhz={"1": 60.0})
    assert bench.build()[0] == 0
    assert bench.runs() == ["nextpnr-ecp5", "ecppack"]


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ({"LUT4": 83_641}, "it needs 83,641 look-up tables and the LFE5U-85F has 83,640"),
        ({"TRELLIS_FF": 90_000}, "it needs 90,000 flip-flops"),
        ({"DP16KD": 209}, "it needs 209 block RAMs and the LFE5U-85F has 208"),
        ({"MULT18X18D": 157}, "it needs 157 multipliers"),
    ],
)
def test_an_engine_that_does_not_fit(bench, cells, text):
    bench.plan(mhz={"1": 80.0}, cells=cells)
    status, _, err = bench.build()
    assert status == 2
    assert "the engine does not fit on ulx3s-85f" in err
    assert text in err
    assert bench.runs() == ["yosys"]
    assert bench.files() == set()


def test_an_engine_that_cannot_fit_is_refused_before_anything_is_run(bench):
    bench.config.write_text('{"rows": 64, "cols": 4, "depth": 64, "stream_bits": 128}')
    status, _, err = bench.build()
    assert status == 2
    assert "LFE5U-85F" in err
    assert "rows" in err
    assert bench.runs() == []
    assert not bench.out.exists()


@pytest.mark.parametrize(("tool", "old"), [("yosys", "Yosys 0.9"), ("ecppack", "mumble")])
def test_an_unusable_tool_is_found_before_the_first_is_run(bench, monkeypatch, tool, old):
    bench.plan(mhz={"1": 80.0}, says={tool: old})
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    status, _, err = bench.build()
    assert status == 2
    assert f"{tool} " in err
    assert "or newer is needed" in err
    assert bench.runs() == []
    assert not bench.out.exists()


def test_what_is_refused(bench, tmp_path):
    status, _, err = bench.build(board="de10")
    assert (status, bench.out.exists()) == (2, False)
    assert "no board is called 'de10'; give a TOML file, or one of " in err
    (tmp_path / "file").write_text("")
    bench.out = tmp_path / "file"
    assert "is a file; -o names a folder" in bench.build()[2]
    bench.out = tmp_path / "file" / "below"
    assert "cannot write" in bench.build()[2]
    bench.out = tmp_path / "mine"
    bench.out.mkdir()
    (bench.out / "summand_top.bit").write_text("mine")
    assert "summand_top.bit is in the way" in bench.build()[2]
    assert (bench.out / "summand_top.bit").read_text() == "mine"
    assert bench.runs() == []


def test_a_folder_of_another_command_is_left_alone(bench):
    assert main(["generate", "--config", str(bench.config), "-o", str(bench.out)]) == 0
    status, _, err = bench.build()
    assert status == 2
    assert "was not written by summand build" in err
    assert (bench.out / "summand.v").exists()
