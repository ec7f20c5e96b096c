import random

import pytest
from amaranth.sim import Simulator

from summand.rtl.add import Adder

#: Bits of the operands and of the sum; what it does besides adding. Chains of an odd and an even
#: number of bits, sums that grow and sums that wrap, sign extension of either operand.
SHAPES = [
    (10, 10, 11, {}),
    (11, 11, 12, {}),
    (32, 22, 32, {}),
    (6, 9, 9, {}),
    (2, 2, 2, {}),
    (10, 8, 10, {"subtracts": True}),
    (22, 15, 22, {"subtracts": True}),
    (15, 15, 15, {"subtracts": True}),
    (16, 12, 16, {"doubles": 1}),
    (9, 9, 9, {"doubles": 1}),
    (5, 8, 8, {"doubles": 1}),
    (10, 10, 11, {"carries": True}),
    (11, 9, 12, {"carries": True}),
    (22, 17, 22, {"doubles": 4, "carries": True}),
    (9, 9, 9, {"doubles": 2}),
]


def wrapped(value: int, bits: int) -> int:
    half = 1 << bits - 1
    return (value + half) % (2 * half) - half


@pytest.mark.parametrize(("a", "b", "out", "does"), SHAPES)
def test_sums_and_differences(a, b, out, does):
    rng = random.Random(1)
    dut = Adder(a, b, out, **does)

    async def bench(ctx):
        for _ in range(300):
            x, y = (
                rng.choice([-(1 << n - 1), (1 << n - 1) - 1, -1, 0, wrapped(rng.getrandbits(n), n)])
                for n in (a, b)
            )
            subtract = "subtracts" in does and rng.random() < 0.5
            double = "doubles" in does and rng.random() < 0.5
            carry = "carries" in does and rng.random() < 0.5
            ctx.set(dut.a, x)
            ctx.set(dut.b, y)
            ctx.set(dut.subtract, subtract)
            if "doubles" in does:
                ctx.set(dut.double, double)
            if "carries" in does:
                ctx.set(dut.carry, carry)
            x = (x << does.get("doubles", 0) * double) + carry
            assert ctx.get(dut.o) == wrapped(x - y if subtract else x + y, out)

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.formal
@pytest.mark.parametrize(("a", "b", "out", "does"), SHAPES)
def test_the_chain_does_the_same(a, b, out, does, prove_same):
    prove_same(lambda: Adder(a, b, out, **does), ["CCU2C"])


@pytest.mark.formal
@pytest.mark.parametrize(("a", "b", "out", "does"), SHAPES[:2] + SHAPES[7:])
def test_the_chain_is_used_as_its_maker_models_it(a, b, out, does, prove_same):
    """By Yosys's model of the primitive, in which an undriven carry is unknown."""
    models = "+/lattice/cells_sim_ecp5.v"
    prove_same(lambda: Adder(a, b, out, **does), ["CCU2C"], models=models)
