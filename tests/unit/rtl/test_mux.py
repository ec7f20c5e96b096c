import numpy as np
import pytest
from amaranth import *
from amaranth.sim import Simulator

from summand.rtl.mux import FourToOne, choose


def look(dut, bench):
    """Run a bench on something without a clock."""
    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("width", [1, 8, 33])
def test_each_word_is_found_plain_and_complemented(width):
    rng = np.random.default_rng(width)
    dut = FourToOne(width)

    async def bench(ctx):
        for case in range(40):
            words = rng.integers(0, 1 << width, 4).tolist()
            select, invert = case % 4, case // 4 % 2
            ctx.set(dut.i, words)
            ctx.set(dut.select, select)
            ctx.set(dut.invert, invert)
            assert ctx.get(dut.o) == words[select] ^ (invert * ((1 << width) - 1))

    look(dut, bench)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_words_are_counted_from_the_lowest(count):
    words, index, word = Signal(count * 8), Signal(range(count)), Signal(8)
    m = Module()
    m.d.comb += word.eq(choose(m, words, index, 8))

    async def bench(ctx):
        ctx.set(words, sum((n + 3) << 8 * n for n in range(count)))
        for n in range(count):
            ctx.set(index, n)
            assert ctx.get(word) == n + 3

    look(m, bench)
