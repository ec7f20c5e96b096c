import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from summand.compress import CompressError
from summand.compress.adapt import LoraFactors
from summand.compress.adapt.solve import fit_factors
from summand.compress.calibrate.calibration import InputStatistics
from summand.model import ChannelGroups, Layer, Transform
from summand.recipe.adapting import AdaptOptions
from summand.summands.dense import Dense

K, N, RANK = 24, 20, 4


def layer_of(seed: int, *, group: int = 0, transform: Transform | None = None) -> Layer:
    rng = np.random.default_rng(seed)
    groups = {}
    if group:
        scales = rng.integers(1, 16, (K // group, N)).astype(np.uint8)
        groups = {"scales": scales, "scale_bits": 4, "group": group}
    dense = Dense(rng.integers(-8, 8, (K, N)).astype(np.int8), 4, **groups)
    scale = (rng.uniform(0.5, 2, N) * rng.choice([-0.01, 0.01], N)).astype(np.float32)
    return Layer("m.q", K, N, 8, (dense,), scale, transform=transform)


def factors_of(seed: int, size: float = 1.0) -> LoraFactors:
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(RANK, K, generator=g) / K**0.5
    return LoraFactors(a, size * torch.randn(N, RANK, generator=g))


def statistics_of(seed: int) -> InputStatistics:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(300, K, generator=g) * torch.linspace(0.2, 5, K)
    moments = x.T @ x / len(x)
    return InputStatistics(len(x), moments.diagonal(), moments, x)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 1000),
    size=st.sampled_from([0.05, 0.1, 0.2]),
    group=st.sampled_from([0, 8]),
    turned=st.booleans(),
)
@example(seed=75, size=0.2, group=0, turned=False)  # of a thousand the one that loses most
def test_the_layer_gains_what_the_adapter_adds(seed, size, group, turned):
    """Whatever the transform, the sign of the unit, and the adapter's size against it."""
    balance = np.linspace(0.5, 2, K, dtype=np.float32)
    layer = layer_of(seed, group=group, transform=Transform(K, balance, 3) if turned else None)
    factors, seen = factors_of(seed, size), statistics_of(seed)
    fitted = fit_factors(layer, factors, seen, AdaptOptions())
    adapted = layer.plus(fitted.summand)
    x = seen.sample.numpy()
    gain = adapted.forward(x).astype(np.float64) - layer.forward(x)
    want = x @ factors.delta.numpy().T
    lost = np.linalg.norm(gain - want) / np.linalg.norm(want)
    assert lost == pytest.approx(fitted.error, rel=0.05, abs=1e-3)
    assert lost < 0.2
    assert fitted.summand.acc_shift == 0 or not group


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), size=st.sampled_from([0.01, 0.02]))
def test_groups_of_channels_and_their_centres_make_no_difference(seed, size):
    centre = np.linspace(-1, 1, K, dtype=np.float32)
    order = np.arange(K, dtype=np.int32)[::-1].copy()
    groups = ChannelGroups(order, ((8, 1), (16, 1)), centre)
    layer = layer_of(seed, transform=Transform(K, groups=groups))
    layer = layer.with_centre(layer.matrix())
    factors, seen = factors_of(seed, size), statistics_of(seed)
    adapted = layer.plus(fit_factors(layer, factors, seen, AdaptOptions()).summand)
    x = seen.sample.numpy()
    gain = adapted.forward(x).astype(np.float64) - layer.forward(x)
    want = x @ factors.delta.numpy().T
    assert np.linalg.norm(gain - want) < 0.08 * np.linalg.norm(want)


def test_more_bits_lose_less():
    layer, factors, seen = layer_of(0), factors_of(0), statistics_of(0)
    errors = [fit_factors(layer, factors, seen, AdaptOptions(bits=b)).error for b in (4, 6, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 2 * errors[2]


def test_an_adapter_that_was_never_trained_adds_nothing():
    layer, seen = layer_of(1), statistics_of(1)
    fitted = fit_factors(layer, factors_of(1, size=0.0), seen, AdaptOptions())
    x = np.random.default_rng(1).integers(-128, 128, (4, K))
    shift = fitted.summand.acc_shift
    np.testing.assert_array_equal(
        layer.plus(fitted.summand).accumulate(x), layer.accumulate(x) << shift
    )
    assert fitted.error == 0


def test_a_rank_above_the_matrix_is_cut():
    wide = LoraFactors(torch.randn(40, K) / 40, torch.randn(N, 40))
    fitted = fit_factors(layer_of(2), wide, statistics_of(2), AdaptOptions())
    assert fitted.summand.matrix().shape == (K, N)
    assert fitted.error < 0.05


def test_what_cannot_be_fitted():
    layer, factors, seen = layer_of(3), factors_of(3), statistics_of(3)
    with pytest.raises(CompressError, match="'m.q'.* more than 16 bits; raise acc_bits"):
        fit_factors(layer, factors, seen, AdaptOptions(acc_bits=16))
    scale = layer.scale.copy()
    scale[3] = 0
    dead = dataclasses.replace(layer, scale=scale)
    with pytest.raises(CompressError, match="'m.q': an output's scale is 0"):
        fit_factors(dead, factors, seen, AdaptOptions())
