import random

import pytest
from amaranth.sim import Simulator

from summand.rtl.add import Adder

#: Bits of the operands and of the sum; whether it subtracts. Chains of an odd and an even number
#: of bits, sums that grow and sums that wrap, sign extension of either operand.
SHAPES = [
    (10, 10, 11, False),
    (11, 11, 12, False),
    (32, 22, 32, False),
    (6, 9, 9, False),
    (2, 2, 2, False),
    (10, 8, 10, True),
    (22, 15, 22, True),
    (15, 15, 15, True),
]


def wrapped(value: int, bits: int) -> int:
    half = 1 << bits - 1
    return (value + half) % (2 * half) - half


@pytest.mark.parametrize(("a", "b", "out", "subtracts"), SHAPES)
def test_sums_and_differences(a, b, out, subtracts):
    rng = random.Random(1)
    dut = Adder(a, b, out, subtracts=subtracts)

    async def bench(ctx):
        for _ in range(300):
            x, y = (
                rng.choice([-(1 << n - 1), (1 << n - 1) - 1, -1, 0, wrapped(rng.getrandbits(n), n)])
                for n in (a, b)
            )
            subtract = subtracts and rng.random() < 0.5
            ctx.set(dut.a, x)
            ctx.set(dut.b, y)
            ctx.set(dut.subtract, subtract)
            assert ctx.get(dut.o) == wrapped(x - y if subtract else x + y, out)

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.formal
@pytest.mark.parametrize(("a", "b", "out", "subtracts"), SHAPES)
def test_the_chain_does_the_same(a, b, out, subtracts, prove_same):
    prove_same(lambda: Adder(a, b, out, subtracts=subtracts), ["CCU2C"])


@pytest.mark.formal
@pytest.mark.parametrize(("a", "b", "out", "subtracts"), SHAPES[:2] + SHAPES[-1:])
def test_the_chain_is_used_as_its_maker_models_it(a, b, out, subtracts, prove_same):
    """By Yosys's model of the primitive, in which an undriven carry is unknown."""
    models = "+/lattice/cells_sim_ecp5.v"
    prove_same(lambda: Adder(a, b, out, subtracts=subtracts), ["CCU2C"], models=models)
