"""The fast torch path against the reference: equal, not close."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from summand.compress import CompressError, IntegerLinear
from summand.compress.twin.integer import quantise_tokens, replace
from summand.model import ChannelGroups, Layer, Transform
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.integers import quantise
from summand.summands.lowrank import LowRank


def random_layer(
    seed,
    *,
    k,
    n,
    bits=4,
    rank=0,
    rank_bits=8,
    act_bits=8,
    acc_shift=4,
    extreme=False,
    bias=False,
    group=0,
    half_step=False,
):
    rng = np.random.default_rng(seed)

    def matrix(bits, shape):
        if extreme:  # the largest sums, made odd, so that no power of two makes them fit
            full = np.full(shape, -(1 << (bits - 1)), np.int8)
            full[-1] = 1
            return full
        return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape).astype(np.int8)

    factors: list[Summand] = []
    if rank:
        summand = LowRank(
            a=matrix(rank_bits, (k, rank)),
            a_bits=rank_bits,
            b=matrix(rank_bits, (rank, n)),
            b_bits=rank_bits,
            mult=rng.integers(0, 1 << 16, rank).astype(np.uint16),
            shift=rng.integers(1, 48, rank).astype(np.uint8),
            acc_shift=acc_shift if bits else 0,
        )
        factors.append(summand)
    groups = {}
    if group:
        scales = rng.integers(0, 64, (-(-k // group), n)).astype(np.uint8)
        groups = {"scales": scales | (63 * extreme), "scale_bits": 6, "group": group}
    dense = [Dense(matrix(bits, (k, n)), bits, **groups, half_step=half_step)] if bits else []
    return Layer(
        name="layer",
        in_features=k,
        out_features=n,
        act_bits=act_bits,
        summands=(*dense, *factors),
        scale=rng.normal(size=n).astype(np.float32),
        bias=rng.normal(size=n).astype(np.float32) if bias else None,
    )


def tokens(seed, m, k, act_bits):
    rng = np.random.default_rng(seed)
    return rng.integers(-(1 << (act_bits - 1)), 1 << (act_bits - 1), (m, k)).astype(np.int16)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 80),
    n=st.integers(1, 40),
    bits=st.sampled_from([0, 1, 4, 8]),
    rank=st.integers(0, 4),
    rank_bits=st.integers(1, 8),
    act_bits=st.integers(4, 10),
    acc_shift=st.integers(0, 8),
    group=st.sampled_from([0, 0, 1, 16]),
    half_step=st.booleans(),
)
def test_accumulators_equal_the_reference(
    seed, k, n, bits, rank, rank_bits, act_bits, acc_shift, group, half_step
):
    if not bits and not rank:
        return
    layer = random_layer(
        seed,
        k=k,
        n=n,
        bits=bits,
        rank=rank,
        rank_bits=rank_bits,
        act_bits=act_bits,
        acc_shift=acc_shift,
        group=group,
        half_step=half_step,
    )
    xq = tokens(seed, 3, k, act_bits)
    got = IntegerLinear(layer).accumulate(torch.from_numpy(xq))
    np.testing.assert_array_equal(got.to(torch.int64).numpy(), layer.accumulate(xq))


@pytest.mark.parametrize("extreme", [True, False])
@pytest.mark.parametrize("act_bits", [8, 10])
@pytest.mark.parametrize(("rank", "group"), [(0, 0), (3, 0), (3, 64)])
@pytest.mark.parametrize("half_step", [False, True])
def test_sums_beyond_float32_are_exact(rank, act_bits, extreme, group, half_step):
    """8-bit weights, thousands of inputs: one float32 product would round."""
    layer = random_layer(
        1,
        k=5000,
        n=17,
        bits=8,
        rank=rank,
        act_bits=act_bits,
        extreme=extreme,
        acc_shift=3,
        group=group,
        half_step=half_step,
    )
    xq = tokens(2, 4, 5000, act_bits)
    xq[0], xq[1] = xq.min(), xq.max()
    want = layer.accumulate(xq)
    if extreme:
        assert np.abs(want).max() > 1 << 24
    got = IntegerLinear(layer).accumulate(torch.from_numpy(xq))
    np.testing.assert_array_equal(got.to(torch.int64).numpy(), want)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    act_bits=st.integers(4, 10),
    rank=st.integers(0, 2),
    size=st.floats(-30, 30),
)
def test_outputs_equal_the_reference(seed, act_bits, rank, size):
    layer = random_layer(seed, k=30, n=11, rank=rank, act_bits=act_bits, bias=True)
    x = (np.random.default_rng(seed).normal(size=(5, 30)) * 10.0**size).astype(np.float32)
    got = IntegerLinear(layer)(torch.from_numpy(x))
    np.testing.assert_array_equal(got.numpy(), layer.forward(x))


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), rotation=st.none() | st.integers(0, 9), balanced=st.booleans())
def test_transformed_outputs_equal_the_reference(seed, rotation, balanced):
    rng = np.random.default_rng(seed)
    balance = rng.uniform(0.1, 9, 24).astype(np.float32) if balanced else None
    layer = dataclasses.replace(
        random_layer(seed, k=24, n=11, rank=2), transform=Transform(24, balance, rotation)
    )
    x = rng.standard_cauchy(size=(5, 24)).astype(np.float32)
    got = IntegerLinear(layer)(torch.from_numpy(x))
    np.testing.assert_array_equal(got.numpy(), layer.forward(x))


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    act_bits=st.integers(4, 10),
    shifts=st.lists(st.integers(1, 7), min_size=1, max_size=3).filter(lambda s: sum(s) <= 15),
    rank=st.integers(0, 2),
)
def test_outputs_of_groups_equal_the_reference(seed, act_bits, shifts, rank):
    """Also where sums are far above what float32 holds."""
    rng = np.random.default_rng(seed)
    borders = tuple((8 * (i + 1), shift) for i, shift in enumerate(shifts))
    centre = rng.normal(size=40).astype(np.float32)
    groups = ChannelGroups(rng.permutation(40).astype(np.int32), borders, centre)
    layer = dataclasses.replace(
        random_layer(seed, k=40, n=11, rank=rank, bits=8, act_bits=act_bits),
        transform=Transform(40, groups=groups),
    )
    x = rng.standard_cauchy(size=(5, 40)).astype(np.float32)
    twin = IntegerLinear(layer)
    xq, s_x = twin.quantise(torch.from_numpy(x))
    raw, want_s = layer.quantise(x)
    np.testing.assert_array_equal(s_x.numpy(), want_s)
    np.testing.assert_array_equal(xq.numpy(), raw * groups.lift)
    np.testing.assert_array_equal(twin.accumulate(xq).numpy(), layer.accumulate(raw))
    np.testing.assert_array_equal(twin(torch.from_numpy(x)).numpy(), layer.forward(x))


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(floats, min_size=1, max_size=9), st.integers(4, 10))
def test_activations_equal_the_reference(values, act_bits):
    x = np.array([values], np.float32)
    want, want_s = quantise(x, act_bits)
    got, got_s = quantise_tokens(torch.from_numpy(x), act_bits)
    np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(got_s.numpy(), want_s)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(6,), (2, 6), (2, 3, 6), (0, 6)])
def test_shape_and_type_follow_the_input(shape, dtype):
    layer = random_layer(1, k=6, n=4)
    y = IntegerLinear(layer)(torch.ones(shape, dtype=dtype))
    assert y.shape == (*shape[:-1], 4)
    assert y.dtype == dtype


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_activations_must_be_finite(bad):
    x = torch.zeros(2, 6)
    x[1, 3] = bad
    with pytest.raises(CompressError, match="layer 'layer': activations must be finite"):
        IntegerLinear(random_layer(1, k=6, n=4))(x)


def test_replace_puts_it_in_place():
    module = nn.Sequential(nn.Sequential(nn.Linear(6, 4)), nn.ReLU())
    layer = random_layer(1, k=6, n=4)
    object.__setattr__(layer, "name", "0.0")
    replace(module, layer)
    x = torch.randn(3, 6)
    np.testing.assert_array_equal(module(x).numpy(), np.maximum(layer.forward(x.numpy()), 0))
    assert list(module.parameters()) == []
