"""The driver against the generated Verilog: the same errors and the same recovery."""

import numpy as np
import pytest

from summand.isa import ErrorCode, StreamError
from summand.isa.header import Header
from summand.runtime import DeviceTimeout, Driver, WrongEngineError, compile_layers, open_device

pytestmark = pytest.mark.sim


@pytest.fixture
def driver(config):
    with Driver(open_device("sim", config), timeout_s=20) as driver:
        yield driver


@pytest.fixture
def check(config, make_layer, driver):
    """Return a function that runs a layer and checks its result."""
    layer = make_layer(config, name="up", k=70, rank=8)
    program = compile_layers([layer], config)
    tokens = np.random.default_rng(5).integers(config.act_min, config.act_max + 1, (3, 70))

    def run() -> None:
        (acc,) = driver.run(program, tokens).outputs
        np.testing.assert_array_equal(acc, layer.accumulate(tokens))

    return run


def spoil(driver: Driver, monkeypatch, change) -> None:
    """Change the bytes of the next write, and lose all bytes after it until a reset."""
    device = driver._device
    write, write_register = device.write, device.write_register

    def once(chunks):
        monkeypatch.setattr(device, "write", lambda chunks: None)
        monkeypatch.setattr(device, "write_register", reset)
        write([change(b"".join(chunks))])

    def reset(name, value):
        monkeypatch.undo()
        write_register(name, value)

    monkeypatch.setattr(device, "write", once)


def test_error_status_then_recovery(driver, check, config, monkeypatch):
    check()
    bad = Header(op=2).encode(config)
    spoil(driver, monkeypatch, lambda raw: bad + raw)
    with pytest.raises(StreamError) as e:
        check()
    assert e.value.code is ErrorCode.OP
    check()


@pytest.mark.parametrize("cut", [8, 200])
def test_truncated_stream_then_recovery(driver, check, cut, monkeypatch):
    check()
    spoil(driver, monkeypatch, lambda raw: raw[:-cut])
    with pytest.raises(DeviceTimeout, match="no answer to command"):
        check()
    check()


def test_wrong_configuration_is_refused(driver, roomy):
    class Mislabelled:
        config = roomy
        read_register = driver._device.read_register

        def close(self) -> None:
            pass

    with pytest.raises(WrongEngineError, match=f"given {roomy.digest}"):
        Driver(Mislabelled())  # type: ignore[arg-type]
