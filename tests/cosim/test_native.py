"""Random engines in the native simulator: more programs than cocotb has time for."""

import numpy as np
import pytest

from summand.cosim.output import check_counters
from summand.golden import GoldenEngine, without_counters
from summand.golden.builder import Program
from summand.golden.corruptions import corrupt, corruptions
from summand.golden.programs import random_program
from summand.golden.stimulus import random_config
from summand.verilated import SimDevice, SimTimeout

pytestmark = pytest.mark.sim

STALLS = (0.0, 0.3, 0.9)


def check(device: SimDevice, program: Program) -> None:
    """Run a program from reset, and see the golden output and not a beat more."""
    device.write_register("reset", 1)
    device.write(program.chunks)
    got = device.read(len(program.output), 60)
    assert without_counters(got, program.config) == program.output
    check_counters(got, program.config)
    with pytest.raises(SimTimeout, match="^0 of 1 bytes"):
        device.read(1, 60)


@pytest.mark.parametrize("number", range(6))
def test_random_engine_matches_golden(number):
    config = random_config(np.random.default_rng([2, number]))
    devices = [SimDevice(config, stall=stall, seed=number) for stall in STALLS]
    for n in range(30):
        rng = np.random.default_rng([3, number, n])
        commands, max_words = int(rng.integers(4, 40)), int(rng.choice([8, 64, 400]))
        program = random_program(rng, config, commands=commands, max_words=max_words)
        check(devices[n % len(devices)], program)
    rng = np.random.default_rng([4, number])
    for n, bad in enumerate(corruptions(config)):
        device = devices[n % len(devices)]
        check(device, corrupt(rng, random_program(rng, config, commands=3), bad))
        assert device.read_register("status") == bad.code << 8


def test_cut_streams_and_garbage_match_golden():
    config = random_config(np.random.default_rng(5))
    rng = np.random.default_rng(6)
    device = SimDevice(config, stall=0.3)
    for n in range(60):
        program = random_program(rng, config, commands=6)
        cut = int(rng.integers(1, program.stream_beats)) * config.beat_bytes
        garbage = rng.bytes(config.beat_bytes * int(rng.integers(1, 50))) if n % 2 else b""
        golden = GoldenEngine(config)
        golden.write([program.data[:cut], garbage])
        want = golden.read(golden.available)
        check(device, Program(config, (program.data[:cut], garbage), want, 0))
        assert device.read_register("status") >> 8 == golden.read_register("status") >> 8
        assert device.read_register("commands") == golden.read_register("commands")
        if not garbage:
            device.write([program.data[cut:]])  # and goes on when the rest comes
            rest = program.output[len(want) :]
            assert without_counters(device.read(len(rest), 60), config) == rest
