"""Converters, the register bridge and PLL settings."""

import random

import pytest
from amaranth import *
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from summand.boards.link.bridge import RegisterBridge
from summand.families.ecp5.pll import PllSettings
from summand.isa import ConfigError
from summand.isa.registers import IDENTITY, register
from summand.rtl.feeds.byte_feed import BeatsToBytes, BytesToBeats
from summand.rtl.registers import RegisterBank


def _stream(dut, inputs, count, p_stall):
    """Drive ``inputs`` into ``dut.i``, return ``count`` payloads of ``dut.o`` and the cycles."""
    got, cycles = [], 0

    async def drive(ctx):
        rng = random.Random(1)
        for beat in inputs:
            while rng.random() < p_stall:
                await ctx.tick()
            ctx.set(dut.i.payload, beat)
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def collect(ctx):
        nonlocal cycles
        rng = random.Random(2)
        held = None
        while len(got) < count and cycles < 20_000:
            ready = rng.random() >= p_stall
            ctx.set(dut.o.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            cycles += 1
            assert held is None or (valid and payload == held)
            held = payload if valid and not ready else None
            if valid and ready:
                got.append(payload)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(drive)
    sim.add_testbench(collect)
    sim.run_until(20e-3)
    return got, cycles


@pytest.mark.parametrize("p_stall", [0.0, 0.5])
@pytest.mark.parametrize("bits", [24, 32, 512])
def test_bytes_to_beats_and_back(bits, p_stall):
    data = random.Random(3).randbytes(5 * bits // 8)
    beats = [
        int.from_bytes(data[i : i + bits // 8], "little") for i in range(0, len(data), bits // 8)
    ]
    got, cycles = _stream(BytesToBeats(bits), data, 5, p_stall)
    assert got == beats
    if not p_stall:
        assert cycles <= len(data) + len(beats) + 1
    packets = [{"data": beat, "last": 1} for beat in beats]
    got, cycles = _stream(BeatsToBytes(bits), packets, len(data), p_stall)
    assert bytes(got) == data
    if not p_stall:
        assert cycles <= len(data) + 2


def test_register_bridge():
    bridge, bank = RegisterBridge(), RegisterBank()
    m = Module()
    m.submodules.bridge, m.submodules.bank = bridge, bank
    connect(m, bridge.bus, bank.bus)
    m.d.comb += bank.value.identity.eq(IDENTITY)
    resets = Signal(8)
    m.d.sync += resets.eq(resets + bank.pulse.reset)

    async def access(ctx, write, name, data=0):
        ctx.set(bridge.access.write, write)
        ctx.set(bridge.access.offset, register(name).offset)
        ctx.set(bridge.access.data, data)
        ctx.set(bridge.access.strobe, 1)
        for _ in range(10):
            _, _, done, value = await ctx.tick().sample(bridge.access.done, bridge.access.value)
            ctx.set(bridge.access.strobe, 0)
            if done:
                return value
        raise AssertionError("no answer")

    async def testbench(ctx):
        assert await access(ctx, 0, "identity") == IDENTITY
        assert await access(ctx, 1, "reset", 1) == 0
        await ctx.tick()
        assert ctx.get(resets) == 1
        assert await access(ctx, 1, "identity", 7) == 0
        assert await access(ctx, 0, "identity") == IDENTITY
        assert ctx.get(resets) == 1

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run_until(1e-3)


@pytest.mark.parametrize(
    ("source", "wanted"), [(25, 50), (100, 50), (25, 125), (12, 48), (100, 60)]
)
def test_pll_settings(source, wanted):
    s = PllSettings.find(input_hz=source * 10**6, output_hz=wanted * 10**6)
    assert source * s.feedback / s.reference == wanted
    assert 400 <= wanted * s.output <= 800
    assert source / s.reference >= 10


def test_an_impossible_clock_is_refused():
    with pytest.raises(ConfigError, match="no PLL makes 33333333 Hz of 25000000 Hz"):
        PllSettings.find(input_hz=25_000_000, output_hz=33_333_333)
