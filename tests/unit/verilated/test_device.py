import sys

import numpy as np
import pytest

from summand.golden import without_counters
from summand.isa import EngineConfig, ErrorCode, SummandError
from summand.isa.commands import Fence
from summand.isa.packets import Counters, status_packet_bytes
from summand.isa.registers import IDENTITY, STREAM_VERSION
from summand.stimulus.corruptions import corrupt, corruptions
from summand.stimulus.programs import random_program
from summand.verilated import SimDevice, SimTimeout
from summand.verilated.build import build_library

pytestmark = pytest.mark.sim


def read_status(device: SimDevice, tag: int = 0) -> Counters:
    """Send a FENCE and return its counters."""
    config = device.config
    device.write([Fence(tag).encode(config)])
    raw = device.read(status_packet_bytes(config), 10)
    return Counters.decode(raw[config.header_beats * config.beat_bytes :])


@pytest.fixture
def program(config):
    return random_program(np.random.default_rng(1), config)


@pytest.mark.parametrize("stall", [0.0, 0.3, 0.9])
def test_equals_the_golden_engine(config, program, stall):
    device = SimDevice(config, stall=stall, seed=3)
    device.write(program.chunks)
    got = device.read(len(program.output), 60)
    assert without_counters(got, config) == program.output


def test_input_may_be_cut_anywhere(config, program):
    device = SimDevice(config)
    data = program.data
    for start in range(0, len(data), 7):
        device.write([b"", memoryview(data)[start : start + 3], data[start + 3 : start + 7]])
    assert without_counters(device.read(len(program.output), 60), config) == program.output


def test_output_may_be_read_in_any_portions(config, program):
    device = SimDevice(config)
    device.write(program.chunks)
    sizes = np.random.default_rng(2).integers(0, 40, len(program.output))
    got = b""
    for size in sizes:
        got += device.read(min(int(size), len(program.output) - len(got)), 60)
    assert without_counters(got, config) == program.output


def test_equal_seeds_give_equal_runs(config, program):
    traces = []
    for seed in (1, 1, 2):
        device = SimDevice(config, stall=0.5, seed=seed, record=True)
        device.write(program.chunks)
        device.read(len(program.output), 60)
        assert len(device.trace) == device.cycles
        traces.append(device.trace.tobytes())
    assert traces[0] == traces[1] != traces[2]


def test_trace_counts_the_beats(config, program):
    device = SimDevice(config, stall=0.2, record=True)
    device.write(program.chunks)
    device.read(len(program.output), 60)
    trace = device.trace
    assert np.count_nonzero((trace & 3) == 3) == program.stream_beats
    assert np.count_nonzero((trace & 12) == 12) == len(program.output) // config.beat_bytes


@pytest.mark.parametrize("stall", [0.1, 0.5])
def test_stalls_come_as_often_as_asked(config, stall):
    device = SimDevice(config, stall=stall, record=True)
    count = 2000
    device.write([Fence().encode(config)] * count)
    device.read(count * status_packet_bytes(config), 60)
    refused = np.count_nonzero(~device.trace & 8) / device.cycles
    assert refused == pytest.approx(stall, abs=0.02)


@pytest.mark.parametrize("stall", [0.0, 0.1, 0.6])
def test_withheld_cycles_are_those_without_a_queued_beat_on_offer(config, program, stall):
    device = SimDevice(config, stall=stall, seed=4, record=True)
    device.write(program.chunks)
    device.read(len(program.output), 60)
    offered = device.trace & 1
    queued = offered[4 : np.flatnonzero(offered)[-1]]  # 4 cycles of reset first
    assert device.withheld == np.count_nonzero(queued == 0)


def test_sent_input_is_let_go(config):
    device = SimDevice(config)
    chunk = Fence().encode(config)
    free = sys.getrefcount(chunk)
    device.write([chunk])
    assert sys.getrefcount(chunk) > free  # held by reference until sent
    device.read(status_packet_bytes(config), 10)
    assert sys.getrefcount(chunk) == free


def test_registers(config):
    device = SimDevice(config)
    digest = int(config.digest, 16)
    assert device.read_register("identity") == IDENTITY
    assert device.read_register("version") == STREAM_VERSION
    assert device.read_register("digest_lo") == digest & 0xFFFFFFFF
    assert device.read_register("digest_hi") == digest >> 32
    counters = read_status(device)
    assert counters.cycles <= device.read_register("cycles") <= device.cycles
    assert device.read_register("commands") == 1


def test_registers_are_refused_by_name(config):
    device = SimDevice(config)
    with pytest.raises(SummandError, match="no register 'speed'; there are identity, version"):
        device.read_register("speed")
    with pytest.raises(SummandError, match="no register 'speed'"):
        device.write_register("speed", 1)
    with pytest.raises(SummandError, match="register cycles is read only; only reset"):
        device.write_register("cycles", 0)


def test_reset_drops_what_is_queued_in_and_out(config, program):
    device = SimDevice(config)
    device.write(program.chunks)
    device.read(len(program.output) // 2, 60)
    device.write_register("reset", 1)
    assert device.read_register("commands") == 0
    device.write(program.chunks)
    assert without_counters(device.read(len(program.output), 60), config) == program.output


def test_writing_0_to_reset_does_nothing(config):
    device = SimDevice(config)
    device.write([Fence().encode(config)])
    device.write_register("reset", 0)
    device.read(status_packet_bytes(config), 10)
    assert device.read_register("commands") == 1


def test_error_is_reported_and_reset_recovers(config, program):
    bad = next(c for c in corruptions(config) if c.code == ErrorCode.LENGTH)
    broken = corrupt(np.random.default_rng(1), program, bad)
    device = SimDevice(config, stall=0.2)
    device.write(broken.chunks)
    assert without_counters(device.read(len(broken.output), 60), config) == broken.output
    assert device.read_register("status") >> 8 == ErrorCode.LENGTH
    device.write_register("reset", 1)
    device.write(program.chunks)
    assert without_counters(device.read(len(program.output), 60), config) == program.output


@pytest.mark.parametrize("stall", [0.0, 0.5, 0.99])
def test_waiting_for_nothing_ends_soon(config, stall):
    device = SimDevice(config, stall=stall)
    device.write([Fence().encode(config)[:-4]])  # cut short
    with pytest.raises(SimTimeout, match=r"0 of 48 bytes.*nothing has moved for \d+ cycles.*reset"):
        device.read(48, 600)
    assert device.cycles < 10_000_000


def test_time_runs_out(config):
    device = SimDevice(config)
    device.write([Fence().encode(config)] * 100)
    with pytest.raises(SimTimeout, match=r"^0 of 4800 bytes .* within 0 s; allow more time"):
        device.read(4800, 0)
    assert len(device.read(4800, 60)) == 4800


def test_closed_device_is_refused(config):
    device = SimDevice(config)
    device.write([Fence().encode(config)])
    device.close()
    device.close()
    for use in (
        lambda: device.write([b"1234"]),
        lambda: device.read(4, 1),
        lambda: device.read_register("cycles"),
        lambda: device.write_register("reset", 1),
        lambda: device.cycles,
        lambda: device.trace,
        lambda: device.withheld,
    ):
        with pytest.raises(SummandError, match="has been closed"):
            use()


@pytest.mark.parametrize("stall", [-0.1, 1.0, float("nan")])
def test_impossible_stalls_are_refused(stall):
    with pytest.raises(SummandError, match="stall must be at least 0 and below 1, not"):
        SimDevice(EngineConfig(), stall=stall)


def test_library_that_cannot_be_loaded_is_built_anew(config, tmp_path):
    said = []
    library = build_library(config, cache=tmp_path, progress=said.append)
    library.write_bytes(b"another system's")
    device = SimDevice(config, cache=tmp_path, progress=said.append)
    assert device.read_register("identity") == IDENTITY
    assert said == ["building the simulator (once for each engine)"] * 2
