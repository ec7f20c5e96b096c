import random

import pytest

from summand.rtl.encodings.sparse.spread import BlockSpread
from summand.testing.streams import simulate


def spread(kept, values, block):
    out, rank = 0, 0
    for place in range(block):
        if kept >> place & 1:
            out |= (values >> rank & 1) << place
            rank += 1
    return out


@pytest.mark.parametrize("block", [4, 8, 16])
def test_values_go_to_the_kept_places_in_order(block):
    """A block a cycle; dense words in between."""
    dut = BlockSpread(block)
    rng = random.Random(block)
    blocks = [
        (rng.getrandbits(block) | rng.choice([0, rng.getrandbits(block)]), rng.getrandbits(block))
        for _ in range(400)
    ]
    dense = [rng.random() < 0.2 for _ in blocks]

    async def bench(ctx):
        for n in range(len(blocks) + BlockSpread.LATENCY):
            if n < len(blocks):
                ctx.set(dut.kept, blocks[n][0])
            if 1 <= n <= len(blocks):
                ctx.set(dut.values, blocks[n - 1][1])
            due = n - BlockSpread.LATENCY
            if due >= 0:
                weights = rng.getrandbits(block)
                ctx.set(dut.dense, dense[due])
                ctx.set(dut.weights, weights)
                want = weights if dense[due] else spread(*blocks[due], block)
                assert ctx.get(dut.o) == want, (n, blocks[due])
            await ctx.tick()

    simulate(dut, bench)
