from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.compress.importers import Fidelity, NotHeldError, QuantisedWeight, hold
from summand.model import ChannelGroups, Transform

from .conftest import dense, offsets

K, N, GROUP = 96, 12, 32


def weight(seed=0, low=-8, high=8, offsets=False, scales=None) -> QuantisedWeight:
    rng = np.random.default_rng(seed)
    codes = rng.integers(low, high, (K, N)).astype(np.int16)
    codes[0, 0], codes[1, 0] = low, high - 1
    if scales is None:
        scales = rng.uniform(0.01, 0.02, (3, N)).astype(np.float16).astype(np.float32)
    added = None
    if offsets:
        added = (scales * rng.uniform(-2, 2, scales.shape)).astype(np.float32)
    return QuantisedWeight(codes, scales, np.arange(K) // (K // len(scales)), "test", added)


def sample(seed=1) -> torch.Tensor:
    return torch.randn(200, K, generator=torch.Generator().manual_seed(seed))


def held(w: QuantisedWeight, scale_bits=6, acc_bits=32):
    bits: dict[str, Any] = {"act_bits": 8, "scale_bits": scale_bits, "acc_bits": acc_bits}
    return hold("m.x", w, bias=None, sample=sample(), **bits)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_scales_that_are_whole_multiples_are_exact(seed, scale_bits):
    """Scales of any unit times integers of few enough bits lose nothing."""
    rng = np.random.default_rng(seed)
    units = rng.uniform(0.001, 1, N).astype(np.float16).astype(np.float32)
    w = weight(seed, scales=units * rng.integers(0, 1 << scale_bits, (3, N)).astype(np.float32))
    layer = held(w, scale_bits)
    assert np.allclose(layer.matrix(), w.matrix(), rtol=3e-7, atol=0)
    assert dense(layer).bits <= 4


def test_one_scale_an_output_is_exact():
    w = weight(scales=np.random.default_rng(0).normal(size=(1, N)).astype(np.float32))
    layer = held(w)
    assert dense(layer).scales is None
    assert np.array_equal(layer.matrix().astype(np.float32), w.matrix())


@pytest.mark.parametrize(("scale_bits", "most"), [(4, 0.03), (6, 0.006), (8, 0.0015)])
def test_other_scales_are_near_and_that_is_said(scale_bits, most):
    w = weight()
    layer = held(w, scale_bits)
    fidelity = Fidelity.of(layer, w)
    want = w.matrix()
    error = np.linalg.norm(layer.matrix() - want) / np.linalg.norm(want)
    assert fidelity.matrix_error == pytest.approx(error)
    assert 0 < fidelity.matrix_error < most
    assert 0 < fidelity.scale_error < most


def test_integers_are_kept():
    w = weight()
    layer = held(w)
    assert np.array_equal(dense(layer).weights, w.codes)
    assert dense(layer).bits == 4


def test_negative_scales_give_their_sign_to_the_integers():
    w = weight(scales=weight().scales * np.random.default_rng(3).choice([-1, 1], (3, N)))
    layer = held(w)
    assert dense(layer).bits == 5  # 8 is the negative of -8
    assert Fidelity.of(layer, w).matrix_error < 0.006
    assert np.array_equal(np.abs(dense(layer).weights), np.abs(w.codes))


def test_a_scale_of_zero_is_a_group_of_zeros():
    scales = weight().scales.copy()
    scales[1, 3] = 0
    scales[:, 4] = 0
    w = weight(scales=scales)
    layer = held(w)
    assert not layer.matrix()[32:64, 3].any()
    assert not layer.matrix()[:, 4].any()
    assert Fidelity.of(layer, w).matrix_error < 0.006
    single = weight(scales=scales[1:2])
    assert np.array_equal(held(single).matrix().astype(np.float32), single.matrix())


def test_offsets_become_a_low_rank_summand_of_one_bit():
    w = weight(offsets=True)
    layer = held(w)
    low = offsets(layer)
    assert (low.rank, low.a_bits, low.b_bits) == (3, 1, 8)
    member = np.arange(K)[:, None] // GROUP == np.arange(3)
    assert np.array_equal(low.a, np.where(member, -1, 0))
    fidelity = Fidelity.of(layer, w)
    assert fidelity.matrix_error < 0.05
    x = sample(7).numpy()
    want = x @ w.matrix()
    off = np.linalg.norm(layer.forward(x) - want) / np.linalg.norm(want)
    assert off < 0.08
    without = np.linalg.norm(x @ (w.codes * w.scales[w.groups]) - want) / np.linalg.norm(want)
    assert off < without / 3


def test_offsets_of_nothing_stay_nothing():
    w = weight(offsets=True)
    w = QuantisedWeight(w.codes, w.scales, w.groups, "test", np.zeros_like(w.scales))
    layer = held(w)
    assert not offsets(layer).b.any()
    assert Fidelity.of(layer, w).matrix_error < 0.006


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_groups_of_channels_leave_the_integers_as_they_are(seed):
    """Whole groups of weights change places, and the bias makes up for the centre."""
    w = weight(seed)
    sets = np.random.default_rng(seed).permutation(3)
    order = np.concatenate([np.arange(s * GROUP, (s + 1) * GROUP) for s in sets])
    centre = np.random.default_rng(seed).normal(size=K).astype(np.float32)
    groups = ChannelGroups(order.astype(np.int32), ((GROUP, 3), (2 * GROUP, 2)), centre)
    loud = torch.ones(K)
    loud[torch.from_numpy(order)] = torch.tensor([32.0, 4.0, 1.0]).repeat_interleave(GROUP)
    x = sample() * loud + torch.from_numpy(centre)
    bits: dict[str, Any] = {"act_bits": 8, "scale_bits": 6, "acc_bits": 32}
    transform = Transform(K, groups=groups)
    layer = hold("m.x", w, bias=None, sample=x, transform=transform, **bits)
    plain = hold("m.x", w, bias=None, sample=x, **bits)
    assert layer.groups is groups
    assert dense(layer).group == GROUP
    assert np.array_equal(dense(layer).weights, w.codes[order])
    assert Fidelity.of(layer, w).matrix_error == pytest.approx(Fidelity.of(plain, w).matrix_error)
    want = x.numpy() @ w.matrix()
    error, other = (np.linalg.norm(h.forward(x.numpy()) - want) for h in (layer, plain))
    assert error < 0.01 * np.linalg.norm(want)
    assert error < 0.9 * other


def test_nine_bits_are_too_many():
    with pytest.raises(NotHeldError, match="less their zero points need 9 bits, 8 is most"):
        held(weight(low=-200, high=56))


def test_groups_that_are_scattered_are_not_held():
    w = weight()
    order = np.random.default_rng(0).permutation(K)
    scattered = QuantisedWeight(w.codes, w.scales, w.groups[order], "test")
    with pytest.raises(NotHeldError, match="activation order"):
        held(scattered)


def test_groups_of_neighbours_are_numbered_in_their_order():
    w = weight(offsets=True)
    assert w.offsets is not None
    order = np.array([2, 0, 3, 1])  # the second has no features
    spare = np.full((1, N), 9, np.float32)
    scales, offsets = (np.concatenate([a, spare])[order] for a in (w.scales, w.offsets))
    other = QuantisedWeight(w.codes, scales, order.argsort()[w.groups], "test", offsets)
    assert other.group == 0
    same = other.numbered()
    assert same.group == GROUP
    assert np.array_equal(same.matrix(), other.matrix())
    assert np.array_equal(same.matrix(), w.matrix())
    assert len(same.scales) == 3


def test_narrow_accumulators_make_scales_coarser():
    """Until they fit, or nothing does."""
    w = weight()
    wide = held(w)
    assert wide.acc_bits == 23
    narrow = held(w, acc_bits=21)
    assert narrow.acc_bits <= 21
    scales = dense(narrow).scales
    assert scales is not None
    assert scales.max() <= 15
    assert Fidelity.of(narrow, w).matrix_error > Fidelity.of(wide, w).matrix_error
    with pytest.raises(NotHeldError, match="accumulators of more than 14 bits"):
        held(w, acc_bits=14)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"scales": np.full((3, N), np.nan, np.float32)}, "scales are not finite"),
        ({"scales": np.ones((3, N + 1), np.float32)}, "scales must be of shape"),
        ({"groups": np.arange(K) // 16}, "must be in groups 0 to 2"),
        ({"offsets": np.ones((2, N), np.float32)}, "offsets must be of shape"),
    ],
)
def test_what_does_not_fit_together(change, match):
    w = weight()
    parts = {"codes": w.codes, "scales": w.scales, "groups": w.groups, "kind": "test"}
    with pytest.raises(NotHeldError, match=match):
        QuantisedWeight(**parts | change)
