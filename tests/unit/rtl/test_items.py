import random

import pytest

from summand.rtl.items import ItemReader
from summand.testing.streams import Source, simulate

#: Bits of an item and of a beat: many in a beat, four, one, and two beats for one.
WIDTHS = [(8, 128), (16, 64), (32, 32), (64, 32)]


@pytest.mark.parametrize(("bits", "width"), WIDTHS)
@pytest.mark.parametrize("p_stall", [0.0, 0.5])
def test_items_come_in_order_and_padding_stays_out(bits, width, p_stall):
    """Any number of items, several times; only beats that hold items are taken."""
    rng = random.Random(bits)
    most = 40
    dut = ItemReader(bits, width=width, most=most)

    async def bench(ctx):
        for n in range(40):
            count = rng.choice([1, 2, 3, rng.randint(1, most), most])
            items = [rng.getrandbits(bits) for _ in range(count)]
            size = -(-bits * count // width)
            packed = sum(item << bits * k for k, item in enumerate(items))
            packed |= rng.getrandbits(width) << bits * count
            beats = [packed >> width * k & (1 << width) - 1 for k in range(size)]
            source = Source(dut.i, [*beats, 0], p_stall=p_stall, seed=n)
            ctx.set(dut.count, count)
            await ctx.tick()
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.count, 0)
            got, ends = [], []
            cycle = 0
            for cycle in range(1000):
                source.before(ctx)
                _, _, ready, done, valid, item, last = await ctx.tick().sample(
                    dut.i.ready, dut.done, dut.valid, dut.item, dut.last
                )
                source.after(cycle, [ready])
                if valid:
                    got.append(item)
                    ends.append(last)
                if done:
                    break
            assert got == items
            assert ends == [0] * (count - 1) + [1]
            assert len(source.sent) == size, "no beat is taken that holds no item"
            if not p_stall:
                assert cycle == max(count, size) + 2
            ctx.set(dut.i.valid, 0)
            await ctx.tick()

    simulate(dut, bench)
