import numpy as np
import pytest
from amaranth import *
from amaranth.sim import Simulator

from summand.rtl.mux import Chooser, choose


def look(dut, bench):
    """Run a bench on a combinational component."""
    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("count", [4, 8, 16])
@pytest.mark.parametrize("width", [1, 8, 33])
def test_each_word_is_found(width, count):
    rng = np.random.default_rng(width)
    dut = Chooser(width, count)

    async def bench(ctx):
        for case in range(3 * count):
            words = rng.integers(0, 1 << width, count).tolist()
            ctx.set(dut.i, words)
            ctx.set(dut.select, case % count)
            assert ctx.get(dut.o) == words[case % count]

    look(dut, bench)


@pytest.mark.formal
@pytest.mark.parametrize("count", [4, 8, 16])
def test_the_primitives_do_the_same(count, prove_same):
    named = ["LUT4", "PFUMX", *["L6MUX21"] * (count > 4)]
    prove_same(lambda: Chooser(3, count), named)


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
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
