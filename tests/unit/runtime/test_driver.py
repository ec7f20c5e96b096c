import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from summand.isa import EngineConfig, ErrorCode, StreamError, SummandError
from summand.isa.packets import Counters
from summand.runtime import (
    DeviceError,
    DeviceTimeout,
    Driver,
    GoldenDevice,
    Usage,
    WrongEngineError,
    compile_layers,
    open_device,
)
from summand.schedule.errors import CompileError


class Meddler(GoldenDevice):
    """The golden model behind a link that misbehaves on request."""

    def __init__(self, config: EngineConfig):
        super().__init__(config)
        self.registers: dict[str, int] = {}
        self.on_write: Callable[[bytes], bytes] = bytes
        self.on_read: Callable[[bytes], bytes] = bytes
        self.resets = 0
        self.closed = False

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        super().write([self.on_write(b"".join(chunks))])

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        return self.on_read(super().read(nbytes, timeout_s))

    def read_register(self, name: str) -> int:
        return self.registers.get(name, super().read_register(name))

    def write_register(self, name: str, value: int) -> None:
        self.resets += name == "reset"
        super().write_register(name, value)

    def close(self) -> None:
        self.closed = True


def once(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Apply ``change`` the first time only."""
    left = [change]
    return lambda raw: left.pop()(raw) if left else raw


def flip(raw: bytes, byte: int, bit: int = 0) -> bytes:
    out = bytearray(raw)
    out[byte] ^= 1 << bit
    return bytes(out)


@pytest.fixture
def device(config) -> Meddler:
    return Meddler(config)


@pytest.fixture
def layer(config, make_layer):
    return make_layer(config, name="up", rank=8)


@pytest.fixture
def tokens(config) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.integers(config.act_min, config.act_max + 1, (3, 24))


@pytest.fixture
def check(config, layer, tokens):
    """Return a function that runs the layer and checks its result."""
    program = compile_layers([layer], config)

    def run(driver: Driver) -> None:
        (acc,) = driver.run(program, tokens).outputs
        np.testing.assert_array_equal(acc, layer.accumulate(tokens))

    return run


@pytest.mark.parametrize(
    ("register", "text"),
    [
        ("identity", "no Summand engine: its identity register is 0x00000007"),
        ("version", "speaks version 7"),
        ("digest_lo", "configuration digest is [0-9a-f]{8}00000007"),
        ("digest_hi", "configuration digest is 00000007"),
    ],
)
def test_wrong_engine_is_refused(device, register, text):
    device.registers[register] = 7
    with pytest.raises(WrongEngineError, match=text):
        Driver(device)


def test_status_names_the_code_and_the_next_call_works(device, check):
    driver = Driver(device)
    check(driver)
    device.on_write = once(lambda raw: flip(raw, 5))
    with pytest.raises(StreamError) as e:
        check(driver)
    assert e.value.code is ErrorCode.CHECK
    assert "while computing up" in e.value.__notes__
    check(driver)
    assert device.resets == 2  # at the first call and after the failure


@pytest.mark.parametrize("byte", range(16))
def test_every_byte_of_an_answers_header_is_checked(device, check, byte):
    driver = Driver(device)
    check(driver)
    device.on_read = once(lambda raw: flip(raw, byte, 3))
    with pytest.raises(DeviceError):
        check(driver)
    check(driver)


@pytest.mark.parametrize("cut", [8, 64, 200])
def test_truncated_stream_times_out_and_the_next_call_works(device, check, cut):
    driver = Driver(device)
    check(driver)
    parts = iter((-cut, 0, 0, 0))  # all later bytes are lost
    device.on_write = lambda raw: raw[: next(parts)]
    with pytest.raises(DeviceTimeout, match=r"no answer to command \d+.*error code is 0"):
        check(driver)
    device.on_write = bytes
    check(driver)


def test_stale_output_is_drained(device, check):
    driver = Driver(device)
    check(driver)
    device.on_read = once(lambda raw: raw[:-1] + b"\xff")
    with pytest.raises(DeviceError, match="which is no packet"):
        check(driver)
    assert device._engine.available
    check(driver)


def test_interrupted_call_does_not_spoil_the_next(device, check):
    driver = Driver(device)

    def interrupt(raw: bytes) -> bytes:
        raise KeyboardInterrupt

    check(driver)
    device.on_read = once(interrupt)
    with pytest.raises(KeyboardInterrupt):
        check(driver)
    check(driver)


def test_device_that_stays_dead_is_reported(device, check):
    driver = Driver(device)
    device.on_write = lambda raw: b""
    with pytest.raises(DeviceError, match="does not come back after 3 resets: no answer"):
        check(driver)
    assert device.resets == 3


def test_answer_to_another_command_is_refused(device, check, config):
    driver = Driver(device)
    check(driver)
    device.on_write = once(lambda raw: _store_elsewhere(raw, config))
    with pytest.raises(DeviceError, match="answered a DATA packet of .* where a DATA packet"):
        check(driver)
    check(driver)


def _store_elsewhere(raw: bytes, config: EngineConfig) -> bytes:
    """Change the tag of the STORE that ends a batch."""
    from summand.isa.header import Header

    size = config.header_beats * config.beat_bytes
    head = Header.decode(raw[-size:])
    return raw[:-size] + dataclasses.replace(head, d=head.d + 1).encode(config)


def test_counters_of_a_call_are_its_own(device, check, config):
    cycles = 1 << 32  # so that the counters wrap between the calls

    def count(raw: bytes) -> bytes:
        nonlocal cycles
        if len(raw) != 32 or any(raw):
            return raw
        cycles += 1000
        return Counters(cycles=cycles % (1 << 32), work=(cycles - 5) % (1 << 32)).encode()

    device.on_read = count
    driver = Driver(device)
    check(driver)
    check(driver)
    usage = driver.usage["up"]
    assert (usage.calls, usage.tokens) == (2, 6)
    assert usage.counters == Counters(cycles=2000, work=2000)
    assert usage.work_share == 1
    assert usage.stream_share == usage.beats / 2000
    assert usage.macs_per_cycle == usage.macs / 2000
    assert driver.total == usage


def test_calls_are_remembered_by_program_and_tokens(device, config, make_layer, tokens):
    driver = Driver(device)
    programs = [compile_layers([make_layer(config, name=name)], config) for name in "ab"]
    for which, count in ((0, 1), (0, 3), (1, 3), (0, 3)):
        driver.run(programs[which], tokens[:count])
    a, b = programs
    assert driver.calls == {(a, 1): 1, (a, 3): 2, (b, 3): 1}


def test_long_calls_read_the_counters_in_between(device, layer, config, check, monkeypatch):
    monkeypatch.setattr("summand.runtime.driver.FENCE_BEATS", 100)
    driver = Driver(device)
    check(driver)
    assert driver.total.beats == _beats_of(device, check, driver)
    # The reset's two, then calls of two batches, a fence after each.
    batches = compile_layers([layer], config).schedule(3)
    assert driver._commands == 2 + 2 * (sum(len(b.steps) for b in batches) + 2)


def _beats_of(device: Meddler, check, driver: Driver) -> int:
    """Return the beats of one more call."""
    written = 0

    def count(raw: bytes) -> bytes:
        nonlocal written
        written += len(raw)
        return raw

    device.on_write = count
    check(driver)
    return written // driver.config.beat_bytes


def test_the_next_batch_is_sent_before_answers_are_read(device, layer, config, check):
    """No further batch is sent, so that the unread output stays bounded."""
    driver = Driver(device)
    check(driver)
    events: list[str] = []

    def note(event: str) -> Callable[[bytes], bytes]:
        def same(raw: bytes) -> bytes:
            if not events or events[-1] != event:
                events.append(event)
            return raw

        return same

    device.on_write, device.on_read = note("write"), note("read")
    driver.run(compile_layers([layer], config), np.zeros((9, 24), np.int8))
    # Five batches: two go out first, then one for each that has been answered.
    assert events == ["write", "read"] * 4 + ["write", "read"]


def test_usage_does_not_wrap():
    early = Usage(beats=1, counters=Counters(cycles=1))
    late = Usage(beats=5, counters=Counters(cycles=1 << 40))
    assert late.since(early) == Usage(beats=4, counters=Counters(cycles=(1 << 40) - 1))


def test_shares_of_an_untimed_device_are_unknown(device, check):
    driver = Driver(device)
    check(driver)
    total = driver.total
    assert (total.work_share, total.stream_share, total.macs_per_cycle) == (None, None, None)


def test_program_of_another_engine(device, roomy, make_layer, tokens):
    program = compile_layers([make_layer(roomy)], roomy)
    with pytest.raises(CompileError, match=f"compiled for engine {roomy.digest}"):
        Driver(device).run(program, tokens)


@pytest.mark.parametrize(
    ("shape", "value", "text"),
    [
        ((3, 23), 0, r"shape \(tokens, 24\), not \(3, 23\)"),
        ((24,), 0, r"shape \(tokens, 24\), not \(24,\)"),
        ((3, 24), 128, "must be -128 to 127, not 128 to 128"),
        ((3, 24), -129, "not -129 to -129"),
    ],
)
def test_tokens_that_do_not_fit(device, config, layer, shape, value, text):
    program = compile_layers([layer], config)
    with pytest.raises(CompileError, match=text):
        Driver(device).run(program, np.full(shape, value))


def test_driver_closes_its_device(device):
    with Driver(device):
        assert not device.closed
    assert device.closed


def test_unknown_device(config):
    with pytest.raises(
        SummandError,
        match="no device is called 'fpga'; there are golden, sim, serial:PORT, udp:",
    ):
        open_device("fpga", config)


def test_golden_device_is_opened_by_name(config):
    assert open_device("golden", config).config == config
