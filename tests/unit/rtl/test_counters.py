import dataclasses
import random

from summand.isa.packets import Counters
from summand.rtl.counters import CountDown, CountersLayout, CycleCounters
from summand.testing.streams import simulate, trace

NAMES = [f.name for f in dataclasses.fields(Counters)]


def test_every_cycle_is_counted_once_under_its_name():
    """The parts add up to ``cycles`` in every cycle, a fixed number of cycles behind.

    A wait counts as ``output`` while the output is blocked; other activities never do.
    """
    rng = random.Random(1)
    spent = [rng.choice(NAMES[1:]) for _ in range(300)]
    inputs = []
    for name in spent:
        waits = name in ("output", "drain")
        blocked = name == "output" if waits else rng.random() < 0.5
        bits = {} if name == "header" else {"drain" if waits else name: 1}
        inputs.append({"activity": bits, "blocked": blocked})
    rows = trace(CycleCounters(), inputs, ["count"])
    behind = len(spent) - rows[-1][0].cycles
    assert behind == 2
    for cycle, (count,) in enumerate(rows):
        seen = spent[: max(0, cycle + 1 - behind)]
        assert count.cycles == len(seen)
        assert [count[n] for n in NAMES[1:]] == [seen.count(n) for n in NAMES[1:]]


def test_the_layout_is_the_order_of_the_packet():
    names = [name for name, _ in CountersLayout()]
    assert names == NAMES


def test_count_down_knows_none_and_one():
    """Counts of all sizes, restarted before and after their end."""
    rng = random.Random(2)
    dut = CountDown(8)

    async def bench(ctx):
        count, started = 0, False
        for _ in range(1500):
            start = not started or rng.random() < (0.3 if count == 0 else 0.02)
            value = rng.choice([0, 1, 2, 3, 4, 17, 255])
            step = started and rng.random() < 0.8  # at 0 too, where it stays
            if start:
                ctx.set(dut.value, value)
                ctx.set(dut.step, 0)
                await ctx.tick()
            ctx.set(dut.start, start)
            ctx.set(dut.step, step)
            await ctx.tick()
            ctx.set(dut.start, 0)
            if start:
                count, started = value, True
            elif step:
                count = max(0, count - 1)
            assert (ctx.get(dut.none), ctx.get(dut.one)) == (count == 0, count == 1)

    simulate(dut, bench)
