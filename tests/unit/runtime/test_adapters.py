"""Groups that change adapters at run time, and what they pack."""

import dataclasses

import numpy as np
import pytest
import torch

import summand.runtime.packing as packing_module
from summand.isa import SummandError
from summand.runtime import Driver, GoldenDevice, compile_layers, open_device
from summand.runtime.modules import LayerGroup, SummandLinear
from summand.runtime.packing import Packing
from summand.runtime.verify import compare
from summand.schedule.errors import CompileError


@pytest.fixture
def layers(config, make_layer):
    """Two layers that share an input; the second has a low-rank summand already."""
    return [
        make_layer(config, name="m.q", k=40, n=30),
        make_layer(config, name="m.v", k=40, n=9, rank=4, seed=1),
    ]


@pytest.fixture
def adapters(config, make_layer):
    """What two adapters add: one to both layers, one to the first."""

    def added(seed: int, n: int, shift: int):
        summand = make_layer(config, k=40, n=n, rank=6, rank_bits=8, seed=seed).summands[-1]
        return dataclasses.replace(summand, acc_shift=shift)

    return {
        "both": {"m.q": added(2, 30, config.shift), "m.v": added(3, 9, 0)},
        "first": {"m.q": added(4, 30, 0), "elsewhere": added(5, 7, 0)},
    }


@pytest.fixture
def group(config, layers, adapters):
    with Driver(GoldenDevice(config)) as driver:
        made = LayerGroup(driver, layers)
        for name, summands in adapters.items():
            made.add_adapter(name, summands)
        yield made


def expected(layers, summands, x: torch.Tensor) -> list[np.ndarray]:
    adapted = [
        layer.plus(summands[layer.name]) if layer.name in summands else layer for layer in layers
    ]
    return [layer.forward(x.numpy()) for layer in adapted]


def test_each_adapter_computes_its_own_layers(group, layers, adapters):
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(1))
    seen = []
    for name in (None, "both", "first", None, "both"):
        group.use_adapter(name)
        got = [SummandLinear(group, i)(x).numpy() for i in range(2)]
        for mine, want in zip(got, expected(layers, adapters.get(name, {}), x), strict=True):
            np.testing.assert_array_equal(mine, want)
        seen.append(got[0])
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])


def test_results_of_the_adapter_before_are_dropped(group, layers, adapters):
    x = torch.randn(1, 40, generator=torch.Generator().manual_seed(2))
    SummandLinear(group, 0)(x)  # the second layer's result waits
    group.use_adapter("both")
    want = expected(layers, adapters["both"], x)[1]
    np.testing.assert_array_equal(SummandLinear(group, 1)(x).numpy(), want)


def test_what_the_layers_are_made_of_is_packed_once(config, layers, adapters, monkeypatch):
    packed = []
    pack = packing_module.pack_planes

    def counting(weights, planes, config):
        packed.append(weights.shape)
        return pack(weights, planes, config)

    monkeypatch.setattr(packing_module, "pack_planes", counting)
    with Driver(GoldenDevice(config)) as driver:
        group = LayerGroup(driver, layers)
        assert packed == [(40, 30), (40, 9)]
        for name, summands in adapters.items():
            group.add_adapter(name, summands)
        assert packed == [(40, 30), (40, 9)]
        for name in (None, *adapters):
            group.use_adapter(name)
            group.compute(0, torch.ones(1, 40))
        assert packed.count((40, 30)) == packed.count((40, 9)) == 1


def test_words_go_with_their_summand(config, layers):
    packing = Packing(config)
    summand = dataclasses.replace(layers[0].summands[0])
    words = packing.words(summand, "direct")
    assert packing.words(summand, "direct") is words
    assert len(packing._kept) == 1
    del summand
    assert len(packing._kept) == 0


def test_words_of_another_engine_are_refused(config, roomy, layers):
    with pytest.raises(CompileError, match="packing must be of the engine"):
        compile_layers(layers, config, packing=Packing(roomy))


def test_unknown_and_removed_adapters(group, layers):
    group.use_adapter("both")
    with pytest.raises(SummandError, match="no adapter is called 'x'; there are: both, first"):
        group.use_adapter("x")
    assert len(group.layers[0].summands) == 2
    group.remove_adapter("both")
    group.remove_adapter("both")
    assert group.layers == tuple(layers)
    with pytest.raises(SummandError, match="there are: first"):
        group.use_adapter("both")


def test_an_adapter_that_does_not_fit_leaves_all_as_it_was(group, layers, adapters, config):
    wrong = dataclasses.replace(adapters["both"]["m.q"], acc_shift=config.shift + 1)
    with pytest.raises(CompileError, match="'m.q': compressed with acc_shift 4"):
        group.add_adapter("wrong", {"m.q": wrong})
    with pytest.raises(SummandError, match="no adapter is called 'wrong'"):
        group.use_adapter("wrong")
    assert group.layers == tuple(layers)


@pytest.mark.sim
def test_simulated_verilog_computes_adapted_layers(config, group):
    tokens = np.random.default_rng(3).integers(config.act_min, config.act_max + 1, (3, 40))
    with Driver(open_device("sim", config), timeout_s=20) as driver:
        for name in (None, "both", "first"):
            group.use_adapter(name)
            assert compare(group.layers, driver, tokens).wrong == ()
