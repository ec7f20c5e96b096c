"""Layers with slices that have no weights, on the golden model: nothing of them is sent."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.patterns import SparsePattern
from summand.model import ChannelGroups, Layer, Transform
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.schedule.steps import Walk
from summand.schedule.traffic import group_traffic
from summand.summands.dense import Dense
from summand.summands.outliers import Outliers

from .conftest import make_layer

#: Inputs and outputs are cut up for the first one's memories; groups are one slice, and two.
ENGINES = tuple(
    EngineConfig(
        rows=2, cols=4, depth=depth, stream_bits=32, acc_depth=acc, act_depth=act, shift=3,
        scale_bits=4, sparse_block=8, border_shift=2,
    )
    for depth, acc, act in ((16, 32, 8), (16, 256, 64), (32, 256, 64))
)  # fmt: skip
PATTERN = SparsePattern(kept=2, block=8)


def emptied(rng: np.random.Generator, k: int, n: int, bits: int) -> np.ndarray:
    """Return weights of the pattern, none in some runs of 8 inputs."""
    weights = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (k // 8, 8, n)).astype(np.int8)
    weights[rng.random((k // 8, 8, n)).argsort(axis=1) >= PATTERN.kept] = 0
    edges = rng.random(k // 8) < rng.choice([0.1, 0.4])
    weights[np.cumsum(edges) % 2 == rng.integers(2)] = 0
    return weights.reshape(k, n)


def sparse_layer(rng: np.random.Generator, k: int, n: int, group: int) -> Layer:
    """Return a layer of one or two sparse summands, or of a dense one and outliers."""
    groups = {}
    if group:
        scales = rng.integers(0, 16, (-(-k // group), n)).astype(np.uint8)
        groups = {"scales": scales, "scale_bits": 4, "group": group}
    first = Dense(emptied(rng, k, n, 3), 3, pattern=PATTERN if rng.integers(2) else None, **groups)
    outliers = Outliers(emptied(rng, k, n, 6), 6, PATTERN)
    summands = (first, outliers) if rng.integers(2) else (first,)
    return Layer("x", k, n, 8, summands, np.ones(n, np.float32))


@st.composite
def groups(draw: st.DrawFn, config: EngineConfig) -> list[Layer]:
    """Draw layers that share an input, some of which have weights for all of it."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    k = 8 * draw(st.integers(1, 60))
    group = draw(st.sampled_from([0, 32]))
    layers = [
        sparse_layer(rng, k, draw(st.integers(1, 60)), group)
        for _ in range(draw(st.integers(1, 2)))
    ]
    if draw(st.booleans()):
        rank = draw(st.sampled_from([0, 5]))
        layers.append(make_layer(config, k=k, n=draw(st.integers(1, 60)), bits=2, rank=rank))
    if k > 32 and draw(st.booleans()):
        border = ((32 * draw(st.integers(1, (k - 1) // 32)), 1),)
        transform = Transform(k, groups=ChannelGroups(rng.permutation(k).astype(np.int32), border))
        layers = [replace(layer, transform=transform) for layer in layers]
    return [replace(layer, name=f"l{i}") for i, layer in enumerate(layers)]


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(ENGINES), st.integers(1, 5))
def test_an_engine_computes_what_layers_mean(data, config, tokens):
    layers = data.draw(groups(config))
    x = np.random.default_rng(tokens).integers(-128, 128, (tokens, layers[0].in_features))
    program = compile_layers(layers, config)
    result = Driver(GoldenDevice(config)).run(program, x)
    for layer, acc in zip(layers, result.outputs, strict=True):
        np.testing.assert_array_equal(acc, layer.accumulate(x))
    (batch,) = program.schedule(1)
    sent = sum(len(step.payload) for step in batch.steps if isinstance(step.plan, Walk))
    sizes = [layer.sizes for layer in layers]
    assert 8 * sent == group_traffic(sizes, config).integers


def test_whole_slices_are_not_sent():
    """Of 20 slices three have weights, and slice 0 clears."""
    config = ENGINES[1]
    rng = np.random.default_rng(0)
    weights = np.zeros((320, 24), np.int8)
    weights[64:112:8] = rng.integers(1, 4, (6, 24))
    layer = Layer("x", 320, 24, 8, (Dense(weights, 3, pattern=PATTERN),), np.ones(24, np.float32))
    assert layer.sizes.direct[0][1].empty == ((0, 64), (112, 320))
    program = compile_layers([layer], config)
    (batch,) = program.schedule(1)
    walks = [step.plan for step in batch.steps if isinstance(step.plan, Walk)]
    assert {s for w in walks for s in range(w.first, w.first + w.slices)} == {0, 4, 5, 6}
    x = rng.integers(-128, 128, (3, 320))
    result = Driver(GoldenDevice(config)).run(program, x)
    np.testing.assert_array_equal(result.outputs[0], layer.accumulate(x))
