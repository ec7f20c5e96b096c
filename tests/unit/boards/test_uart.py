"""The serial line's receiver and transmitter."""

import random

import pytest
from amaranth import *
from amaranth.sim import Simulator

from summand.boards.link.uart import Baud, UartReceiver, UartTransmitter
from summand.isa import ConfigError

DATA = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0x7E, *random.Random(1).randbytes(20)]


def _send(baud, data, p_stall=0.0):
    """Return the line's level in each cycle while ``data`` is transmitted."""
    dut = UartTransmitter(baud)
    levels = []
    done = False

    async def drive(ctx):
        nonlocal done
        rng = random.Random(2)
        for byte in data:
            while rng.random() < p_stall:
                await ctx.tick()
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)
        for _ in range(12 * baud.clock_hz // baud.rate):
            await ctx.tick()
        done = True

    async def watch(ctx):
        while not done:
            _, _, level = await ctx.tick().sample(dut.tx)
            levels.append(level)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(drive)
    sim.add_testbench(watch)
    sim.run()
    return levels


def _receive(baud, levels):
    """Return the bytes taken from a line with these levels."""
    dut = UartReceiver(baud)
    got = []

    async def testbench(ctx):
        for level in levels:
            ctx.set(dut.rx, level)
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                got.append(byte)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return got


def _levels(data, bit_cycles, phase=0.0):
    """Return a line's levels, from a sender whose clock is not ours."""
    bits = [1, 1]
    for byte in data:
        bits += [0, *((byte >> n) & 1 for n in range(8)), 1]
    bits += [1, 1, 1]
    return [bits[int(t / bit_cycles + phase)] for t in range(int((len(bits) - 1) * bit_cycles))]


@pytest.mark.parametrize("p_stall", [0.0, 0.9])
@pytest.mark.parametrize("ratio", [4, 5, 25 / 3, 16])
def test_what_is_sent_is_received(ratio, p_stall):
    baud = Baud(clock_hz=round(1_200_000 * ratio), rate=1_200_000)
    levels = _send(baud, DATA, p_stall)
    assert _receive(baud, levels) == DATA


@pytest.mark.parametrize("skew", [-0.025, 0.0, 0.025])
@pytest.mark.parametrize("ratio", [25 / 3, 50 / 3])
@pytest.mark.parametrize("phase", [0.0, 0.05, 0.09])
def test_another_clock_is_followed(ratio, skew, phase):
    """The sender's clock is 2.5 % off, and bytes follow without a pause."""
    baud = Baud(clock_hz=round(3_000_000 * ratio), rate=3_000_000)
    assert _receive(baud, _levels(DATA, ratio * (1 + skew), phase)) == DATA


def test_bytes_follow_each_other_at_once():
    """Ten bits a byte, to the cycle, also where a bit is no whole number of cycles."""
    baud = Baud(clock_hz=25_000_000, rate=3_000_000)
    levels = _send(baud, [0] * 50)
    first = levels.index(0)
    last = len(levels) - 1 - levels[::-1].index(0)
    assert abs(last + 1 - first - (50 * 10 - 1) * 25 / 3) <= 1


def test_noise_and_breaks_are_no_bytes():
    baud = Baud(clock_hz=16, rate=1)
    glitch = [1] * 40 + [0] * 5 + [1] * 40
    no_stop = [0] * 16 + [1] * 8 * 16 + [0] * 16 + [1] * 40
    line_break = [0] * 16 * 30 + [1] * 40
    good = _levels([0xA5], 16)
    assert _receive(baud, glitch + no_stop + line_break + good) == [0xA5]


def test_impossible_rates_are_refused():
    with pytest.raises(ConfigError, match="at most a quarter of the clock .* not 400"):
        Baud(clock_hz=1000, rate=400)
    with pytest.raises(ConfigError, match="too slow for the clock"):
        Baud(clock_hz=100_000_000, rate=300)
    with pytest.raises(ConfigError, match="at least 1 bit a second, not 0"):
        Baud(clock_hz=100, rate=0)
