"""The command line, unchanged, with boards behind serial ports."""

import builtins

import pytest

from summand.cli import main


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
        (("--device", "fpga"), "no device is called 'fpga'; there are golden, sim and serial:PORT"),
        (("--device", "serial:"), "which board is at serial:? Give --board NAME (ecpix5-85f, "),
        (("--device", "serial:/dev/ttyS0"), "which board is at serial:/dev/ttyS0? Give --board"),
        (("--device", "serial:", "--board", "ulx3s-85f"), "no device is called 'serial:'"),
        (("--board", "de10"), "no board is called 'de10'; there are ecpix5-85f, ulx3s-85f"),
        (("--device", "golden", "--stall", 0.1), "--stall is for --device sim, not for golden"),
        (
            ("--device", "serial:/dev/ttyNONE", "--board", "ulx3s-85f"),
            "there is no serial port /dev/ttyNONE; there are: ",
        ),
    ],
)
def test_bad_devices(call, args, text):
    pytest.importorskip("serial")
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
    assert "this command needs serial; pip install 'summand[serial]'" in err


def test_a_boards_engine_on_any_device(call, tiny_llama):
    args = ("--prompt", "Hello", "--tokens", 2, "--board", "ulx3s-85f", "--json")
    status, out, _ = call("run", tiny_llama, *args)
    assert status == 0
    assert '"device": "golden"' in out
