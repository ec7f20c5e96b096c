import pytest
from amaranth import *
from amaranth.sim import Simulator

from summand.rtl.compare import exceeds


@pytest.mark.parametrize("limit", [0, 1, 5, 8, 14, 15, 16, 40])
def test_every_value(limit):
    value, above = Signal(4), Signal()
    m = Module()
    m.d.comb += above.eq(exceeds(value, limit))

    async def bench(ctx):
        for n in range(16):
            ctx.set(value, n)
            assert ctx.get(above) == (n > limit)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
