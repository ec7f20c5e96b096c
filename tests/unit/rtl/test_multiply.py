import random

import pytest
from amaranth import *
from amaranth.sim import Simulator

from summand.isa.products import Product
from summand.rtl.multiply import DspProduct, DspSum, Multiplier
from summand.testing.streams import trace

SHAPES = [
    (signed(8), unsigned(8)),
    (signed(18), unsigned(18)),
    (signed(19), unsigned(16)),
    (signed(32), unsigned(16)),
    (unsigned(36), signed(18)),
    (signed(37), signed(20)),
    (unsigned(40), unsigned(55)),
]


def extremes(shape):
    top = 1 << shape.width - shape.signed
    return [0, 1, top - 1, *([-top, -1] if shape.signed else [top >> 1])]


@pytest.mark.parametrize("shapes", SHAPES, ids=lambda s: "x".join(map(repr, s)))
@pytest.mark.parametrize("p_en", [1.0, 0.5])
def test_products_follow_operands(shapes, p_en):
    a_shape, b_shape = shapes
    dut = Multiplier(a_shape, b_shape)
    rng = random.Random(1)
    pairs = [(a, b) for a in extremes(a_shape) for b in extremes(b_shape)]
    for _ in range(200):
        a, b = (rng.getrandbits(s.width) - (1 << s.width - 1) * s.signed for s in shapes)
        pairs.append((a, b))
    latency = Product(a_bits=a_shape.width, b_bits=b_shape.width).latency
    found = []

    async def bench(ctx):
        for a, b in [*pairs, *[(0, 0)] * latency]:
            ctx.set(dut.a, a)
            ctx.set(dut.b, b)
            while True:
                en = rng.random() < p_en
                ctx.set(dut.en, en)
                await ctx.tick()
                if en:
                    break
            found.append(ctx.get(dut.p))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    late = latency - 1
    assert found[late : late + len(pairs)] == [a * b for a, b in pairs]


@pytest.mark.parametrize(("a_bits", "b_bits"), [(18, 8), (13, 4), (5, 9)])
def test_sums_of_two_products_follow_their_operands(a_bits, b_bits):
    rng = random.Random(2)

    def operand(bits):
        top = 1 << bits - 1
        return rng.choice([-top, top - 1, -1, 0, rng.randrange(-top, top)])

    cycles = [
        {"a": [operand(a_bits) for _ in "01"], "b": [operand(b_bits) for _ in "01"]}
        for _ in range(300)
    ]
    dut = DspSum(signed(a_bits), signed(b_bits))
    found = trace(dut, [*cycles, *[{}] * DspSum.LATENCY], ["p"])
    half = 1 << a_bits + b_bits - 1
    for cycle, (p,) in zip(cycles, found[DspSum.LATENCY :], strict=True):
        total = sum(x * y for x, y in zip(cycle["a"], cycle["b"], strict=True))
        assert p == (total + half) % (2 * half) - half


@pytest.mark.formal
@pytest.mark.parametrize(
    "shapes",
    [(signed(5), unsigned(4)), (signed(4), signed(4)), (unsigned(5), unsigned(3))],
    ids=lambda s: "x".join(map(repr, s)),
)
def test_the_primitive_does_the_same(shapes, prove_same):
    """Yosys proves the instantiated block, by its model, equal to what is inferred elsewhere."""
    prove_same(lambda: DspProduct(*shapes), ["MULT18X18D"])
