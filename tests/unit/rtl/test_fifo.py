import random
from collections import deque

import pytest

from summand.isa.memory import EngineMemory, MemoryKind
from summand.rtl.fifo import CountedFifo
from summand.testing.streams import FLOWING, STALLS, Sink, simulate


def run(depth, count, *, p_write, stalls=FLOWING, hold=0):
    """Write ``count`` words as there is room for them; return the sink, and when they went in.

    The sink takes nothing in the first ``hold`` cycles.
    """
    rng = random.Random(depth)
    dut = CountedFifo(EngineMemory(name="words", kind=MemoryKind.BLOCK, width=12, depth=depth))
    sink = Sink(dut.o, p_stall=stalls.o, shy=stalls.shy)
    words: deque[int] = deque(rng.getrandbits(12) for _ in range(count))
    want = list(words)
    written: list[int] = []

    async def bench(ctx):
        for cycle in range(3000):
            write = len(written) - len(sink.beats) < depth and rng.random() < p_write
            write = bool(words) and write
            ctx.set(dut.write, write)
            ctx.set(dut.data, words.popleft() if write else rng.getrandbits(12))
            if write:
                written.append(cycle)
            if cycle >= hold:
                sink.before(ctx)
            _, _, *out = await ctx.tick().sample(*sink.signals)
            if cycle >= hold:
                sink.after(cycle, out)
            if cycle == hold - 1:
                assert len(written) == min(depth, count)
            if len(sink.beats) == count:
                ctx.set(dut.write, 0)
                await ctx.tick().repeat(5)
                assert not ctx.get(dut.o.valid)
                return
        raise TimeoutError(f"{len(sink.beats)} of {count} words")

    simulate(dut, bench)
    assert sink.beats == want
    return sink, written


@pytest.mark.parametrize("depth", [2, 4, 16])
@pytest.mark.parametrize("stalls", STALLS, ids=str)
@pytest.mark.parametrize("p_write", [1.0, 0.3])
def test_words_leave_in_order(depth, stalls, p_write):
    run(depth, 150, p_write=p_write, stalls=stalls)


@pytest.mark.parametrize("depth", [2, 16])
def test_it_holds_its_depth(depth):
    run(depth, 3 * depth, p_write=1.0, hold=50)


def test_a_word_a_cycle_after_the_latency():
    sink, written = run(16, 60, p_write=1.0)
    assert written == list(range(60))
    assert sink.arrived == [n + CountedFifo.LATENCY for n in range(60)]
