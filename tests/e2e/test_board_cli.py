"""The command line, unchanged, with boards behind serial ports."""

import builtins
import json
import re
import time

import pytest

from summand.cli import main
from summand.isa.header import HEADER_BYTES
from summand.runtime.serial import SerialLine


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs a command and gives status, output and errors."""

    def call(*args: object):
        status = main([*map(str, args)])
        out, err = capsys.readouterr()
        return status, out, " ".join(err.split())

    return call


VERIFY = ("verify", "--shape", "1,16,8")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (
            ("--device", "fpga"),
            "no device is called 'fpga'; there are golden, sim, serial:PORT, udp:HOST[:PORT]",
        ),
        (
            ("--device", "serial:"),
            "which board is at serial:? Give --board NAME|FILE (arty-a7-100t, ",
        ),
        (("--device", "serial:/dev/ttyS0"), "which board is at serial:/dev/ttyS0? Give --board"),
        (("--device", "serial:", "--board", "ulx3s-85f"), "no device is called 'serial:'"),
        (("--board", "de10"), "no board is called 'de10'; give a TOML file, or one of "),
        (("--device", "golden", "--stall", 0.1), "--stall is for --device sim, not for golden"),
        (
            ("--device", "serial:/dev/ttyNONE", "--board", "ulx3s-85f"),
            "there is no serial port /dev/ttyNONE; there are: ",
        ),
        (("--device", "udp:board.lan"), "which engine is at udp:board.lan? Give --board NAME|FILE"),
        (
            ("--device", "udp:board.lan:x", "--config", "smollm2"),
            "udp:HOST[:PORT] takes a name or an IPv4 address, and a port of 1 to 65535, not",
        ),
        (
            ("--device", "udp:nowhere.invalid", "--config", "smollm2"),
            "there is no host nowhere.invalid with an IPv4 address",
        ),
        (("--device", "xdma:/dev/xdma7"), "which engine is at xdma:/dev/xdma7? Give --board"),
        (
            ("--device", "xdma:/dev/xdma7", "--board", "u55c"),
            "the registers at /dev/xdma7_user cannot be mapped",
        ),
    ],
)
@pytest.mark.needs("pyserial")
def test_bad_devices(call, args, text):
    status, out, err = call(*VERIFY, *args)
    assert (status, out) == (2, "")
    assert text in err


def test_pyserial_missing(call, monkeypatch):
    real = builtins.__import__

    def without_serial(name, *args):
        if name.partition(".")[0] == "serial":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_serial)
    status, _, err = call(*VERIFY, "--device", "serial:/dev/ttyS0", "--board", "ulx3s-85f")
    assert status == 2
    assert re.search(r"this command needs serial; pip install .*\[serial\]'$", err.strip())


def test_a_boards_engine_on_any_device(call, tiny_llama):
    args = ("--prompt", "Hello", "--tokens", 2, "--board", "ulx3s-85f", "--json")
    status, out, _ = call("run", tiny_llama, *args)
    assert status == 0
    assert '"device": "golden"' in out


@pytest.fixture
def engine(simulated_board, tmp_path):
    """A file with the simulated board's engine."""
    path = tmp_path / "engine.json"
    path.write_text(simulated_board.CONFIG.to_json())
    return path


@pytest.mark.sim
@pytest.mark.parametrize("harm", [0, 300])
def test_a_layer_on_a_board(call, simulated_board, engine, harm):
    """At the board's rate, which the simulation does not reach; ``harm`` is per million bytes."""
    with simulated_board.power(harm=harm) as port:
        args = ("--shape", "3,40,20", "--rank", 6, "--config", engine, "--board", "ulx3s-85f")
        status, out, err = call("verify", "--device", f"serial:{port}", *args, "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["exact"] is True
    assert report["device"] == f"serial:{port}"
    assert report["counters"]["work"] == report["plane_words"]


@pytest.mark.sim
def test_a_model_on_a_board(call, simulated_board, engine, tiny_llama):
    args = (tiny_llama, "--prompt", "Hi", "--tokens", 2, "--config", engine, "--json")
    golden = json.loads(call("run", *args)[1])
    with simulated_board.power(harm=20) as port:
        status, out, err = call("run", *args, "--device", f"serial:{port}", "--board", "ulx3s-85f")
    assert status == 0
    assert json.loads(out)["token_ids"] == golden["token_ids"]
    # Before anything is computed: what the golden model was then sent for a token, less the
    # fence that the driver sends behind each call.
    told = re.match(r"A token takes ([\d.]+) s or more over .*: ([\d,]+) bytes at 289 kB/s", err)
    assert told
    size, decode = int(told[2].replace(",", "")), golden["decode"]
    assert golden["speculation"]["passes"] == 1
    assert size == decode["stream_bits"] // 8 - decode["calls"] * HEADER_BYTES
    assert float(told[1]) == pytest.approx(size / 289e3, abs=0.005)


@pytest.mark.sim
def test_a_board_unplugged_in_the_middle(call, simulated_board, engine):
    with simulated_board.power(life_s=6) as port:
        board = ("--config", engine, "--board", "ulx3s-85f", "--device", f"serial:{port}")
        begun = time.monotonic()
        status, out, err = call("verify", "--shape", "2000,64,64", *board)
        assert time.monotonic() - begun < 60
    assert (status, out) == (2, "")
    assert f"the serial port {port} has gone" in err
    assert "Traceback" not in err


@pytest.mark.sim
def test_a_board_with_another_engine(call, simulated_board):
    with simulated_board.power() as port:
        status, _, err = call(*VERIFY, "--device", f"serial:{port}", "--board", "ulx3s-85f")
    assert status == 2
    assert f"the engine's configuration digest is {simulated_board.CONFIG.digest}" in err


@pytest.mark.sim
def test_a_busy_port(call, simulated_board, engine):
    with simulated_board.power() as port:
        holder = SerialLine(port, 115200)
        args = ("--config", engine, "--board", "ulx3s-85f", "--device", f"serial:{port}")
        status, _, err = call(*VERIFY, *args)
        holder.close()
    assert status == 2
    assert f"the serial port {port} is busy; close the program that uses it" in err
