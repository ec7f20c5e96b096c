import random

import numpy as np
import pytest

from summand.golden.operand import Operand
from summand.isa import EngineConfig
from summand.rtl.operand import OperandMemory
from summand.testing.streams import STALLS, Sink, simulate

CONFIG = EngineConfig(cols=2, depth=16, stream_bits=32, operand_depth=256)


class Bench:
    """An operand memory, and the golden one that it must equal."""

    def __init__(self, seed: int):
        self.dut = OperandMemory(CONFIG)
        self.golden = Operand(CONFIG)
        self.rng = random.Random(seed)

    async def write(self, ctx, addr: int, lane: int, bits: int) -> None:
        ctx.set(self.dut.write, {"valid": 1, "lane": lane, "addr": addr, "bits": bits})
        await ctx.tick()
        ctx.set(self.dut.write, {"valid": 0, "lane": lane ^ 1, "addr": addr, "bits": ~bits & 3})
        weights = np.array([[-(bits >> c & 1) for c in range(CONFIG.cols)]])
        self.golden.write(addr, lane, weights, 1)

    async def fill(self, ctx) -> None:
        for _ in range(600):
            addr = self.rng.choice([0, 1, 254, 255, self.rng.randrange(256)])
            await self.write(ctx, addr, self.rng.randrange(16), self.rng.randrange(4))

    def words(self, first: int, count: int) -> list[int]:
        size = CONFIG.plane_bits // 8
        raw = self.golden.read(first, count)
        return [int.from_bytes(raw[n : n + size], "little") for n in range(0, len(raw), size)]

    async def walk(self, ctx, first: int, count: int, sink: Sink) -> list[int]:
        """Read ``count`` words as a walk does; returns the cycle in which each was taken."""
        orders = self.dut.orders
        ctx.set(orders.start, 1)
        ctx.set(orders.first, first)
        ctx.set(self.dut.o.ready, 0)
        await ctx.tick()
        ctx.set(orders.start, 0)
        ctx.set(orders.first, self.rng.randrange(1 << 16))
        sink.beats.clear()
        sink.arrived.clear()
        for cycle in range(1, 20 * count + 20):
            sink.before(ctx)
            last = len(sink.beats) == count - 1 and ctx.get(self.dut.o.valid & self.dut.o.ready)
            ctx.set(orders.stop, last)
            _, _, *sampled = await ctx.tick().sample(*sink.signals)
            sink.after(cycle, sampled)
            if last:
                ctx.set(orders.stop, 0)
                return sink.arrived
        raise TimeoutError(f"{len(sink.beats)} of {count} words")


@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_words_are_read_as_they_were_written(stalls):
    bench = Bench(1)

    async def run(ctx):
        await bench.fill(ctx)
        for n, (first, count) in enumerate([(0, 256), (255, 1), (250, 6), (3, 40), (3, 1), (1, 2)]):
            sink = Sink(bench.dut.o, p_stall=stalls.o, shy=stalls.shy, seed=n)
            await bench.walk(ctx, first, count, sink)
            assert sink.beats == bench.words(first, count)
            for _ in range(n):
                await ctx.tick()
                assert not ctx.get(bench.dut.o.valid)

    simulate(bench.dut, run)


def test_words_come_one_a_cycle_after_the_latency():
    bench = Bench(2)

    async def run(ctx):
        await bench.fill(ctx)
        arrived = await bench.walk(ctx, 7, 50, Sink(bench.dut.o))
        first = OperandMemory.LATENCY
        assert arrived == list(range(first, first + 50))

    simulate(bench.dut, run)


def test_what_is_written_can_be_read_two_cycles_later():
    bench = Bench(3)

    async def run(ctx):
        await bench.write(ctx, 9, 5, 0b10)
        await ctx.tick()
        sink = Sink(bench.dut.o)
        await bench.walk(ctx, 9, 1, sink)
        assert sink.beats == bench.words(9, 1) == [1 << 16 + 5]

    simulate(bench.dut, run)


@pytest.mark.parametrize("first", [255, 256, 257, 0x8000, 0xFFFF])
def test_a_word_beyond_the_memory_does_not_come(first):
    bench = Bench(4)
    dut = bench.dut

    async def run(ctx):
        ctx.set(dut.orders.start, 1)
        ctx.set(dut.orders.first, first)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        ctx.set(dut.orders.start, 0)
        words = 0
        for _ in range(8):
            words += ctx.get(dut.o.valid)
            if ctx.get(dut.orders.past):
                break
            await ctx.tick()
        assert ctx.get(dut.orders.past)
        assert words == (first == 255)

    simulate(dut, run)
