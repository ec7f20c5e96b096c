import random

import pytest
from amaranth.sim import Simulator

from summand.isa.patterns import IndexForm, SparsePattern
from summand.rtl.encodings.sparse.places import KeptPlaces, most_places


def kept_places(index, pattern):
    """Return what an index's bits of a block say, by its definition."""
    if pattern.index_form is IndexForm.MASK:
        return index
    bits = pattern.place_bits
    named = 0
    for n in range(pattern.places):
        named |= 1 << (index >> n * bits & ((1 << bits) - 1))
    return (
        named if pattern.index_form is IndexForm.POSITIONS else named ^ ((1 << pattern.block) - 1)
    )


@pytest.mark.parametrize("block", [4, 8, 16])
def test_any_index_of_any_pattern(block):
    """What lies below an index that is shorter than a block does not matter."""
    dut = KeptPlaces(block)
    rng = random.Random(block)

    async def bench(ctx):
        for kept in range(1, block):
            pattern = SparsePattern(kept=kept, block=block)
            assert pattern.places <= most_places(block)
            for _ in range(100):
                index = rng.getrandbits(pattern.index_chunks)
                free = block - pattern.index_chunks
                ctx.set(dut.index, index << free | rng.getrandbits(free) if free else index)
                ctx.set(dut.named, (1 << pattern.places) - 1)
                ctx.set(dut.mask, pattern.index_form is IndexForm.MASK)
                ctx.set(dut.holes, pattern.index_form is IndexForm.HOLES)
                await ctx.delay(1e-6)
                assert ctx.get(dut.kept) == kept_places(index, pattern), (kept, index)

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
