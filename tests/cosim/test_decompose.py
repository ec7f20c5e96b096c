"""A prompt by way of pseudo-tokens, on the generated Verilog: integers, and cycles by the law."""

from dataclasses import replace

import numpy as np
import pytest

from summand.bench import Law
from summand.decompose import Decomposer
from summand.isa import EngineConfig
from summand.model import Layer
from summand.model.decomposed import decomposed, exact, pseudo_tokens
from summand.model.decomposition import EXACT, Decomposition, Requantisation
from summand.runtime import Driver, compile_layers
from summand.summands.dense import Dense
from summand.verilated import SimDevice

pytestmark = pytest.mark.sim

#: The operand memory holds a part of the layers' outputs.
ENGINE = EngineConfig(
    rows=4,
    cols=4,
    depth=16,
    stream_bits=64,
    acc_depth=32,
    act_depth=16,
    requant_depth=16,
    operand_depth=256,
)


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_a_prompt_is_computed_as_it_is_defined_in_the_cycles_of_the_law(stall):
    rng = np.random.default_rng(0)
    k, outputs, rank, tokens = 70, (90, 70, 30), 20, 70
    layers = [
        Layer(
            f"x.{i}",
            k,
            n,
            8,
            (Dense(rng.integers(-8, 8, (k, n)).astype(np.int8), 4),),
            rng.uniform(1e-3, 1e-2, n).astype(np.float32),
        )
        for i, n in enumerate(outputs)
    ]
    low = rng.standard_normal((tokens, 12)) @ rng.standard_normal((12, k))
    x = (low + 0.05 * rng.standard_normal((tokens, k))).astype(np.float32)
    plain = Decomposition(
        layers=("x.0", "x.1", "x.2"),
        rank=rank,
        span=40,
        steps=1,
        directions=rng.integers(-4, 4, (k, 24)).astype(np.int8),
        scale=np.ones(24, np.float32),
        sketch_bits=3,
        token_bits=4,
        bits=5,
        requantisations=tuple(Requantisation.of(np.ones(n)) for n in outputs),
    )
    rows = pseudo_tokens(*layers[0].quantise(x[EXACT:]), plain, 8, exact).rows
    units = [
        np.sqrt(np.square(layer.accumulate(rows).astype(float)).mean(axis=0)) * 0.19
        for layer in layers
    ]
    first, _, last = map(Requantisation.of, units)
    of = replace(plain, requantisations=(first, None, last), loud=(5, 69))
    with Driver(SimDevice(ENGINE, stall=stall)) as driver:
        decomposer = Decomposer(driver, layers, compile_layers(layers, ENGINE), of)
        found = decomposer.rows(x)
        for got, want in zip(found, decomposed(layers, of, x), strict=True):
            assert (got == want).all()
        if not stall:
            assert driver.usage == Law(ENGINE).total(driver.calls)
            programs = {program.name for program, _ in driver.calls}
            assert programs == driver.usage.keys()
