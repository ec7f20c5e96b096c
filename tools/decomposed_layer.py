"""A layer of a large model on the simulated RTL, by way of pseudo-tokens.

    python tools/decomposed_layer.py [--shape 4096,4096,4096] [--rank 256] [--config FILE]

The prompt's spectrum falls by half every 32 ranks; weights of 4 bits, directions and all else are
random or made as ``summand compress`` makes them. Prints whether all outputs are those of their
meaning in integers, whether the cost law's cycles are the RTL's in every part, and the cycles of
each part beside those of the layer as ever, by the law. Takes an hour at full size.
"""

import argparse
import sys
import time
from dataclasses import replace

import numpy as np

from summand.bench import Law
from summand.boards.configurations import find_configuration
from summand.compress.decompose.directions import normal_step, sketch_directions
from summand.compress.decompose.sizes import PRODUCT_BITS, SKETCH_BITS, TOKEN_BITS, sketches
from summand.decompose import Decomposer
from summand.model import Layer
from summand.model.decomposed import decomposed, exact, pseudo_tokens
from summand.model.decomposition import EXACT, Decomposition, Requantisation
from summand.runtime import Driver, compile_layers
from summand.summands.dense import Dense
from summand.verilated import SimDevice

#: Bits of weights.
WEIGHT = 4


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="4096,4096,4096", help="tokens, inputs, outputs")
    parser.add_argument("--rank", type=int, default=256)
    parser.add_argument("--config", default="rows-8", help="name or file of an engine")
    given = parser.parse_args()
    tokens, k, n = map(int, given.shape.split(","))
    config = replace(find_configuration(given.config).config, operand_depth=4096)
    rng = np.random.default_rng(0)
    falls = 2.0 ** -(np.arange(k) / 32)
    mixed = (rng.standard_normal((k, k)).T * falls).T.astype(np.float32) / np.sqrt(k)

    def prompt() -> np.ndarray:
        return rng.standard_normal((tokens, k)).astype(np.float32) @ mixed

    weights = rng.integers(-8, 8, (k, n)).astype(np.int8)
    layer = Layer("layer", k, n, 8, (Dense(weights, WEIGHT),), np.full(n, 1e-3, np.float32))
    other = prompt().astype(np.float64)
    count = sketches(given.rank, k)
    directions, scale = sketch_directions(
        layer.matrix(), other.T @ other, np.ones(n), count, SKETCH_BITS
    )
    plain = Decomposition(
        layers=("layer",),
        rank=given.rank,
        span=tokens,
        steps=1,
        directions=directions,
        scale=scale,
        sketch_bits=SKETCH_BITS,
        token_bits=TOKEN_BITS,
        bits=PRODUCT_BITS,
        requantisations=(Requantisation.of(np.ones(n)),),
    )
    x = prompt()
    rows = pseudo_tokens(*layer.quantise(x[EXACT:]), plain, 8, exact).rows.astype(np.float64)
    products = rows @ (layer.matrix() / layer.scale)
    unit = np.sqrt(np.square(products).mean(axis=0)) * normal_step(PRODUCT_BITS)
    of = replace(plain, requantisations=(Requantisation.of(unit),))
    write, start = sys.stdout.write, time.perf_counter()
    (want,) = decomposed([layer], of, x)
    xq, s_x = layer.quantise(x)
    near = (xq * s_x) @ layer.matrix().astype(np.float32)
    write(f"error {np.linalg.norm(want - near) / np.linalg.norm(near):.4f}\n")
    program = compile_layers([layer], config)
    law = Law(config)
    before = law.usage(program, tokens).counters.cycles
    with Driver(SimDevice(config)) as driver:
        (found,) = Decomposer(driver, [layer], program, of).rows(x)
        usage, calls = driver.usage, driver.calls
    write(f"outputs equal: {bool((found == want).all())}\n")
    modelled = law.total(calls)
    write(f"law equal: {usage == modelled}\n")
    total = 0
    for name, cost in usage.items():
        total += cost.counters.cycles
        write(f"{name}: {cost.counters.cycles:,} cycles, {cost.counters.cycles / before:.4f}\n")
    write(f"in all {total:,} of {before:,}, {total / before:.4f}\n")
    write(f"{time.perf_counter() - start:.0f} s\n")


if __name__ == "__main__":
    main()
