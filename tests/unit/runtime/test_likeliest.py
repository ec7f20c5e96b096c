import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from summand.isa import EngineConfig
from summand.runtime import Driver, GoldenDevice
from summand.runtime.head import GreedyHead
from summand.runtime.likeliest import RankedLayers
from summand.runtime.modules import LayerGroup, SummandLinear
from summand.runtime.packing import Packing
from summand.summands.dense import Dense

from .conftest import make_layer

CONFIG = EngineConfig(
    rows=2,
    cols=4,
    depth=16,
    stream_bits=64,
    acc_depth=32,
    act_depth=4,
    shift=3,
    scale_bits=4,
    limb_bits=4,
    bin_tiles=4,
)


class CountingDriver(Driver):
    runs = 0

    def run(self, program, xq):
        self.runs += 1
        return super().run(program, xq)


@pytest.fixture
def driver() -> CountingDriver:
    return CountingDriver(GoldenDevice(CONFIG))


def with_signs(layer, seed, *, bias=False, same=False):
    """Return a layer whose scales have both signs, or are all alike."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([-1, 1], layer.out_features) * layer.scale
    if same:
        scale = np.full(layer.out_features, 2**-8)
    offsets = rng.normal(size=layer.out_features).astype(np.float32) if bias else None
    return dataclasses.replace(layer, scale=scale.astype(np.float32), bias=offsets)


def ranked(layers, driver) -> RankedLayers:
    return RankedLayers(layers, Packing(CONFIG), driver)


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=3),
    st.sampled_from([{}, {"rank": 3}, {"group": 16}, {"bits": 0, "rank": 5}]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 5),
    st.integers(0, 2**32 - 1),
)
def test_the_greatest_outputs_are_there(sizes, kind, bias, same, tokens, seed):
    driver = CountingDriver(GoldenDevice(CONFIG))
    layers = [
        with_signs(
            make_layer(CONFIG, name=f"h.{i}", k=40, n=n, seed=seed + i, **kind),
            seed + i,
            bias=bias,
            same=same,
        )
        for i, n in enumerate(sizes)
    ]
    x = np.random.default_rng(seed).normal(size=(tokens, 40)).astype(np.float32)
    x[1:2] = 0
    group = ranked(layers, driver)
    want = np.concatenate([layer.forward(x) for layer in layers], axis=1)
    np.testing.assert_array_equal(np.concatenate(group.all(x), axis=1), want)
    got = np.concatenate(group.likeliest(x), axis=1)
    known = got != -np.inf
    np.testing.assert_array_equal(got[known], want[known])
    greatest = want == want.max(axis=1, initial=-np.inf, keepdims=True)
    assert known[greatest].all()


def test_few_results_come_back_and_only_doubt_fetches_all(driver):
    layer = with_signs(make_layer(CONFIG, k=40, n=2000, seed=1), 1)
    x = np.random.default_rng(2).normal(size=(2, 40)).astype(np.float32)
    x[0] = 3 * layer.matrix()[:, 77]  # output 77 is far greater than the others
    group = ranked([layer], driver)
    (got,) = group.likeliest(x[:1])
    assert driver.runs == 1
    assert np.isfinite(got).sum() < 400
    assert got.argmax() == 77
    few, every = (
        program.answer_bytes(program.schedule(1), 1) for program in (group.few, group.program)
    )
    assert few < 0.7 * every
    flat = with_signs(layer, 1, same=True)
    group = ranked([flat], driver)
    x[1] = 0  # all outputs are equal
    (got,) = group.likeliest(x)
    assert driver.runs == 3  # the second token once more
    assert np.isfinite(got[1]).all()
    assert not np.isfinite(got[0]).all()


def test_all_and_few_stream_the_same_objects(driver):
    layers = [with_signs(make_layer(CONFIG, k=40, n=300, rank=3, seed=4), 4)]
    group = ranked(layers, driver)
    all_programs = dataclasses.replace(group.program, held=True)
    few = dataclasses.replace(group.few, held=True)
    assert list(map(id, few.payloads)) == list(map(id, all_programs.payloads))
    assert few.payloads


def test_a_head_with_an_adapter_is_ranked_too(driver):
    layer = with_signs(make_layer(CONFIG, k=40, n=600, seed=5), 5)
    group = LayerGroup(driver, [layer], head=True)
    extra = Dense(np.random.default_rng(6).integers(-8, 8, (40, 600)).astype(np.int8), 4)
    group.add_adapter("a", {layer.name: extra})
    group.use_adapter("a")
    assert group.least_program is not group.program
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(1))
    want = layer.plus(extra).forward(x.numpy())
    np.testing.assert_array_equal(group.compute(0, x).numpy(), want)
    group.likeliest = True
    got = group.compute(0, x.clone()).numpy()
    assert (got.argmax(1) == want.argmax(1)).all()
    assert not np.isfinite(got).all()


def test_only_a_head_on_an_engine_with_bins_is_ranked(driver, make_layer):
    layer = make_layer(CONFIG)
    assert not LayerGroup(driver, [layer]).ranks
    plain = dataclasses.replace(CONFIG, bin_tiles=0)
    group = LayerGroup(Driver(GoldenDevice(plain)), [make_layer(plain)], head=True)
    assert not group.ranks
    assert group.least_program is group.program


class Model(nn.Module):
    """Logits that are a head's outputs, or twice as much."""

    def __init__(self, group: LayerGroup, factor: float):
        super().__init__()
        self.head = SummandLinear(group, 0)
        self.factor = factor

    def forward(self, x):
        y = self.head(x)
        return y if self.factor == 1 else y * self.factor


@pytest.mark.parametrize(("factor", "few"), [(1, True), (2, False)])
def test_a_model_that_changes_the_heads_outputs_gets_all_of_them(driver, factor, few):
    group = LayerGroup(driver, [with_signs(make_layer(CONFIG, k=40, n=600), 3)], head=True)
    model = Model(group, factor)
    head = GreedyHead.of(model, "head", [group])
    assert head is not None
    x = torch.randn(1, 3, 40, generator=torch.Generator().manual_seed(1))
    logits = model(x)[0, -1]
    assert logits.isfinite().all()
    with head.likeliest_only(logits):
        assert bool(model(x.clone()).isfinite().all()) != few
    assert model(x.clone()).isfinite().all()


def test_without_a_ranked_group_there_is_no_such_head(driver, make_layer):
    group = LayerGroup(driver, [make_layer(CONFIG)])
    assert GreedyHead.of(Model(group, 1), "head", [group]) is None
    assert GreedyHead.of(Model(group, 1), None, [group]) is None
