"""``summand hello``, as a user runs it."""

import json
import subprocess
import sys

import pytest

from summand.boards.library import find_board
from summand.cli import main
from summand.isa import EngineConfig


@pytest.fixture
def hello(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command and gives status, output and errors."""

    def call(*args: object):
        status = main(["hello", *map(str, args)])
        out, err = capsys.readouterr()
        return status, out, " ".join(err.split())

    return call


def test_the_golden_model(hello):
    status, out, _ = hello("--device", "golden", "--board", "ulx3s-85f", "--json")
    report = json.loads(out)
    assert (status, report["exact"], report["wrong"]) == (0, True, [])
    engine = find_board("ulx3s-85f").engine
    assert (report["identity"], report["digest"]) == ("0x444e4d53", engine.digest)
    assert report["tokens"] == engine.rows
    assert report["macs"] == engine.rows * 48 * 5
    assert report["cycles"] is None


def test_people_read_two_lines(hello):
    status, out, _ = hello("--device", "golden")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].startswith("golden: identity 0x444e4d53, stream version 1, engine ")
    assert lines[1].startswith("exact  random: 1 tokens, ")


def test_a_difference_leaves_with_1(hello, monkeypatch):
    from summand.model import Layer

    good = Layer.accumulate
    monkeypatch.setattr(Layer, "accumulate", lambda self, xq: good(self, xq) + 1)
    status, out, _ = hello("--device", "golden")
    assert status == 1
    assert "DIFFERENT" in out


def test_what_is_refused(hello):
    assert hello("--device", "fpga")[0] == 2
    status, _, err = hello("--device", "serial:/dev/ttyS0")
    assert (status, "which board is at serial:/dev/ttyS0?" in err) == (2, True)


def test_torch_is_not_imported():
    call = (
        "import sys; from summand.cli import main; status = main(sys.argv[1:]); "
        "sys.exit(status or 'torch' in sys.modules)"
    )
    arguments = ["hello", "--device", "golden"]
    subprocess.run([sys.executable, "-c", call, *arguments], check=True)


@pytest.fixture
def small(tmp_path):
    config = EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=4, shift=3
    )
    path = tmp_path / "engine.json"
    path.write_text(config.to_json())
    return path


@pytest.mark.sim
@pytest.mark.needs("verilator")
def test_the_simulated_verilog(hello, small):
    report = json.loads(hello("--device", "sim", "--config", small, "--json")[1])
    assert report["exact"] is True
    assert report["cycles"] > report["stream_beats"]


@pytest.mark.sim
def test_a_board(hello, simulated_board, tmp_path):
    """Its own engine, and then one that the host takes for another."""
    engine = tmp_path / "engine.json"
    engine.write_text(simulated_board.CONFIG.to_json())
    with simulated_board.power() as port:
        where = ("--device", f"serial:{port}", "--board", "ulx3s-85f")
        status, out, _ = hello(*where, "--config", engine, "--json")
        assert (status, json.loads(out)["exact"]) == (0, True)
        status, out, err = hello(*where)
        assert (status, out) == (2, "")
        assert "the engine's configuration digest is " in err
