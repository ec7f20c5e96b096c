"""Layers whose inputs' channels have groups, on the golden model."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.model import ChannelGroups, Transform
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.runtime.modules import LayerGroup
from summand.runtime.verify import compare
from summand.schedule.errors import CompileError
from summand.schedule.fit import fitting_engine

from .conftest import make_layer

#: What each engine's memories hold differs, so that some inputs are cut in chunks.
ENGINES = tuple(
    EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=64, acc_depth=acc, act_depth=act, shift=2,
        scale_bits=4, border_shift=3,
    )
    for acc, act in ((16, 4), (64, 32))
)  # fmt: skip


@st.composite
def transforms(draw: st.DrawFn, k: int, block: int = 16) -> Transform:
    places = list(range(block, k, block))
    firsts = draw(st.sets(st.sampled_from(places), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    borders = tuple((first, draw(st.integers(1, 2))) for first in sorted(firsts))
    centre = rng.normal(size=k).astype(np.float32)
    balance = rng.uniform(0.5, 2, k).astype(np.float32) if draw(st.booleans()) else None
    groups = ChannelGroups(rng.permutation(k).astype(np.int32), borders, centre)
    return Transform(k, balance, groups=groups)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), k=st.integers(17, 200), config=st.sampled_from(ENGINES))
def test_an_engine_computes_what_the_layers_mean(data, k, config):
    transform = data.draw(transforms(k))
    layers = []
    for i in range(data.draw(st.integers(1, 3))):
        layer = make_layer(
            config,
            name=f"l{i}",
            k=k,
            n=data.draw(st.integers(1, 70)),
            bits=data.draw(st.integers(1, 5)),
            rank=data.draw(st.sampled_from([0, 3])),
            group=data.draw(st.sampled_from([0, 32])),
            seed=i,
        )
        layers.append(dataclasses.replace(layer, transform=transform))
    x = np.random.default_rng(k).standard_cauchy((3, k)).astype(np.float32)
    xq, _ = layers[0].quantise(x)
    with Driver(GoldenDevice(config)) as driver:
        assert compare(layers, driver, xq).wrong == ()


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_modules_compute_what_layers_do(data):
    import torch

    config = ENGINES[0]
    transform = data.draw(transforms(48))
    layers = [
        dataclasses.replace(make_layer(config, name=f"l{i}", k=48, seed=i), transform=transform)
        for i in range(2)
    ]
    layers = [layer.with_centre(layer.matrix()) for layer in layers]
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 48)).astype(np.float32))
    with Driver(GoldenDevice(config)) as driver:
        group = LayerGroup(driver, layers)
        for i, layer in enumerate(layers):
            np.testing.assert_array_equal(group.compute(i, x).numpy(), layer.forward(x.numpy()))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"border_shift": 0}, "scales are up to 2^3 apart, but the engine's border_shift is 0"),
        ({"depth": 32}, "a channel group begins with input feature 16, which is no multiple"),
    ],
)
def test_an_engine_that_cannot_is_named(changed, said):
    config = dataclasses.replace(ENGINES[1], **changed)
    groups = ChannelGroups(np.arange(48, dtype=np.int32), ((16, 3),))
    layer = dataclasses.replace(
        make_layer(ENGINES[1], k=48), transform=Transform(48, groups=groups)
    )
    with pytest.raises(CompileError, match="layer 'layer': ") as error:
        compile_layers([layer], config)
    assert said in str(error.value)
    fitting = fitting_engine([layer.needs], ENGINES[1])
    assert (fitting.border_shift, fitting.depth) == (3, 16)


def test_layers_that_share_an_input_share_its_groups():
    layers = [make_layer(ENGINES[1], name=name, k=48) for name in "ab"]
    order = np.arange(48, dtype=np.int32)
    for i, layer in enumerate(layers):
        groups = ChannelGroups(order, ((16, i + 1),))
        layers[i] = dataclasses.replace(layer, transform=Transform(48, groups=groups))
    with pytest.raises(CompileError, match="balanced, rotated or grouped in another way"):
        compile_layers(layers, ENGINES[1])
