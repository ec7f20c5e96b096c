import random
from collections import deque

import pytest

from summand.rtl.queue import LutQueue
from summand.testing.streams import simulate


@pytest.mark.parametrize("p_read", [0.2, 0.5, 1.0])
def test_items_come_out_in_order_a_cycle_later_up_to_depth_of_them(p_read):
    dut = LutQueue(8, 4)
    rng = random.Random(1)
    held: deque[int] = deque()
    fullest = 0

    async def bench(ctx):
        nonlocal fullest
        for _ in range(500):
            assert ctx.get(dut.o.valid) == bool(held)
            if held:
                assert ctx.get(dut.o.payload) == held[0]
            read, item = rng.random() < p_read, rng.getrandbits(8)
            write = len(held) < 4 and rng.random() < 0.5
            ctx.set(dut.o.ready, read)
            ctx.set(dut.write, write)
            ctx.set(dut.item, item)
            if read and held:
                held.popleft()
            if write:
                held.append(item)
            fullest = max(fullest, len(held))
            await ctx.tick()

    simulate(dut, bench)
    assert fullest == (4 if p_read < 1 else 1)
