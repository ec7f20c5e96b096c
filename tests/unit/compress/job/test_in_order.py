"""Layers in order: errors compensated, layers left alone, and restarts after a kill."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from summand.compress import (
    CompressError,
    Options,
    calibration_text,
    compress_layers,
    plan,
    survey,
)
from summand.compress.calibrate.text import windows
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.job.in_order import compress_layers_in_order
from summand.compress.job.sequential import pull
from summand.compress.network.blocks import find_blocks
from summand.compress.twin.integer import replace
from summand.model import Layer, SummandModel
from summand.recipe.choice import choices_of

OPTIONS = Options(bits=3, head_bits=3, group=16)


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 40)
    )


def batches(seed=1, count=6):
    mix = torch.randn(48, 48, generator=torch.Generator().manual_seed(7))
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(60, 48, generator=g) @ mix + 1 for _ in range(count)]


def in_order(module, rows, options=OPTIONS, **more) -> list[Layer]:
    found = survey(module, rows[0])
    choices = choices_of(options, found.layers)
    return [layer for layer, _ in compress_layers_in_order(module, rows, found, choices, **more)]


def output(layers) -> torch.Tensor:
    module = mlp()
    for layer in layers:
        replace(module, layer)
    with torch.no_grad():
        return torch.cat([module(x) for x in batches(seed=2)])


def test_the_whole_model_is_nearer_than_with_layers_by_themselves():
    module, rows = mlp(), batches()
    with torch.no_grad():
        want = torch.cat([module(x) for x in batches(seed=2)])
    found = survey(module, rows[0])
    alone = [
        layer
        for layer, _ in compress_layers(module, rows, found, choices_of(OPTIONS, found.layers))
    ]
    errors = [float((output(layers) - want).norm()) for layers in (in_order(module, rows), alone)]
    assert errors[0] < 0.9 * errors[1]


def test_biases_take_away_the_mean_error():
    module, rows = mlp(), batches()
    with torch.no_grad():
        want = torch.cat([module(x) for x in rows])
    for layer in in_order(module, rows):
        replace(module, layer)
    with torch.no_grad():
        lost = torch.cat([module(x) for x in rows]) - want
    assert lost.mean(dim=0).abs().max() < 1e-4 * lost.abs().max()


def test_the_pull_is_the_least_squares_solution():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(300, 12, generator=g)
    y = x + 0.3 * torch.randn(300, 12, generator=g) + 0.1 * x.flip(1)
    w = torch.randn(5, 12, generator=g)
    p = pull(y.T @ y / 300, x.T @ y / 300, damping=0)
    want = torch.linalg.lstsq(y, x @ w.T).solution.T
    torch.testing.assert_close(w + w @ p, want, rtol=1e-3, atol=1e-4)
    assert pull(y.T @ y / 300, x.T @ y / 300, damping=1e6).abs().max() < 1e-5


def test_equal_inputs_pull_nothing():
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    h = x.T @ x
    assert pull(h, h, damping=0.1).abs().max() < 1e-5


@pytest.fixture(scope="module")
def tiny(llama) -> tuple[Any, list[dict[str, torch.Tensor]], Any]:
    ids = windows(llama.tokenizer, calibration_text(), tokens=600, window=60)
    rows = [{"input_ids": row} for row in ids]
    return llama.module, rows, survey(llama.module, rows[0])


def run(tiny, options=OPTIONS, *, staged=True, **more) -> dict[str, tuple[Layer, float]]:
    module, rows, found = tiny
    blocks = find_blocks(module, found, rows[0]) if staged else None
    assert not staged or blocks
    done = compress_layers_in_order(
        module,
        rows,
        found,
        choices_of(options, found.layers),
        walk=ModelWalk(blocks=blocks),
        **more,
    )
    return {layer.name: (layer, error) for layer, error in done}


@pytest.fixture(scope="module")
def staged(tiny) -> dict[str, tuple[Layer, float]]:
    return run(tiny)


def same(a: Layer, b: Layer) -> bool:
    assert a.bias is not None
    assert b.bias is not None
    return np.array_equal(a.matrix(), b.matrix()) and np.array_equal(a.bias, b.bias)


def test_every_layer_is_compressed_once_in_order(tiny, staged):
    assert list(staged) == list(tiny[2].layers)
    assert all(0 < error < 0.7 for _, error in staged.values())


def test_stages_change_nothing(tiny, staged):
    whole = run(tiny, staged=False)
    for name, (layer, _) in staged.items():
        np.testing.assert_allclose(whole[name][0].matrix(), layer.matrix(), atol=1e-3)


def test_the_module_is_left_as_it_is(tiny):
    module = tiny[0]
    before = {name: t.clone() for name, t in module.state_dict().items()}
    kinds = {name: type(m) for name, m in module.named_modules()}
    run(tiny)
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())
    assert kinds == {name: type(m) for name, m in module.named_modules()}


def test_finished_layers_are_used_and_not_made_again(tiny, staged):
    names = list(staged)
    kept = {name: staged[name][0] for name in (*names[:5], names[6])}
    told = []
    rest = run(tiny, finished=kept.get, progress=lambda *what: told.append(what))
    assert list(rest) == [name for name in names if name not in kept]
    assert all(same(layer, staged[name][0]) for name, (layer, _) in rest.items())
    total = sum(layer.matrix().size for layer, _ in staged.values())
    assert told[-1] == ("compressing", total, total)


def test_low_rank_goes_along(tiny, staged):
    ranked = run(tiny, Options(bits=3, head_bits=3, group=16, rank=4, rank_bits=8))
    errors = [
        np.mean([error for name, (_, error) in done.items() if name != "lm_head"])
        for done in (ranked, staged)
    ]
    assert errors[0] < errors[1]


def test_inputs_that_are_not_finite_are_named():
    module, rows = mlp(), batches()
    rows[3][5, 5] = float("nan")
    with pytest.raises(CompressError, match="layer '0' is fed with numbers that are not finite"):
        in_order(module, rows)


def test_a_rank_above_the_matrix_is_refused_first():
    with pytest.raises(CompressError, match="at most 48, not 49"):
        in_order(mlp(), batches(), Options(rank=49))


def test_it_is_an_option(llama, tmp_path):
    options = Options(bits=4, sequential=True)
    plan(llama, options, calibration_text(), tokens=200).run(tmp_path / "m")
    model = SummandModel(tmp_path / "m")
    assert model.manifest.options["sequential"]
    assert all(entry.bias for entry in model.manifest.layers)
