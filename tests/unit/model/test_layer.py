"""The layer's integer meaning, against Python's unbounded integers."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.model import Layer
from summand.summands.dense import Dense
from summand.summands.errors import LayerError
from summand.summands.integers import act_limit, quantise, requantise
from summand.summands.lowrank import LowRank


def dense_of(layer: Layer) -> Dense:
    summand = layer.summands[0]
    assert isinstance(summand, Dense)
    return summand


def low_rank_of(layer: Layer) -> LowRank:
    summand = layer.summands[-1]
    assert isinstance(summand, LowRank)
    return summand


def by_hand(layer: Layer, x: list[int]) -> list[int]:
    """One token through the contract, a number at a time."""
    top = 1 << (layer.act_bits - 1)
    acc = [0] * layer.out_features
    for summand in layer.summands:
        if isinstance(summand, Dense):
            w = summand.weights.tolist()
            if summand.half_step:
                w = [[2 * v + 1 for v in row] for row in w]
            if summand.scales is not None:
                g, group = summand.scales.tolist(), summand.group
                w = [[v * g[k // group][n] for n, v in enumerate(row)] for k, row in enumerate(w)]
            more = [sum(a * row[n] for a, row in zip(x, w, strict=True)) for n in range(len(acc))]
        else:
            assert isinstance(summand, LowRank)
            t = []
            for r in range(summand.rank):
                inner = sum(a * row[r] for a, row in zip(x, summand.a.tolist(), strict=True))
                half = 1 << (int(summand.shift[r]) - 1)
                value = (inner * int(summand.mult[r]) + half) >> int(summand.shift[r])
                t.append(max(-top, min(top - 1, value)))
            b = summand.b.tolist()
            more = [sum(t[r] * b[r][n] for r in range(summand.rank)) for n in range(len(acc))]
        acc = [(a << summand.acc_shift) + m for a, m in zip(acc, more, strict=True)]
    return acc


@given(
    st.integers(0, 10**6),
    st.sampled_from([None, 1, 4, 8]),
    st.sampled_from([0, 1, 3]),
    st.integers(4, 10),
    st.sampled_from([0, 0, 2, 3, 9]),
    st.booleans(),
)
def test_accumulate_is_the_contract(make_layer, seed, bits, rank, act_bits, group, half_step):
    if bits is None and not rank:
        return
    layer = make_layer(
        seed, bits=bits, rank=rank, act_bits=act_bits, group=group, half_step=half_step
    )
    rng = np.random.default_rng(seed)
    x = rng.integers(-(1 << (act_bits - 1)), 1 << (act_bits - 1), (3, layer.in_features))
    got = layer.accumulate(x.astype(np.int16))
    assert got.tolist() == [by_hand(layer, row) for row in x.tolist()]


@given(
    st.integers(0, 10**6),
    st.integers(1, 8),
    st.integers(0, 3),
    st.integers(4, 10),
    st.sampled_from([0, 2, 7]),
    st.booleans(),
)
def test_acc_bits_hold_the_worst_activations(
    make_layer, seed, bits, rank, act_bits, group, half_step
):
    layer = make_layer(
        seed,
        bits=bits,
        rank=rank,
        act_bits=act_bits,
        group=group,
        scale_bits=8,
        half_step=half_step,
    )
    low, high = -(1 << (act_bits - 1)), (1 << (act_bits - 1)) - 1
    limit = 1 << (layer.acc_bits - 1)
    for column in dense_of(layer).weights.T:
        worst = np.where(column < 0, low, high)
        for x in (worst, -1 - worst):
            assert np.abs(layer.accumulate(x[None])).max() < limit


@given(st.integers(0, 10**6), st.integers(2, 8), st.booleans())
def test_acc_bits_are_not_wasted(make_layer, seed, bits, half_step):
    layer = make_layer(seed, bits=bits, rank=0, half_step=half_step)
    weights = dense_of(layer).weights.astype(int)
    column = np.abs(2 * weights + 1 if half_step else weights).sum(axis=0).max()
    assert column * 128 >= 1 << (layer.acc_bits - 2)


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, 65535), st.integers(1, 47))
def test_requantise_rounds_halves_up_and_saturates(acc, mult, shift):
    got = requantise(np.array([[acc]]), np.array([mult]), np.array([shift]), 8)
    exact = Fraction(acc * mult, 1 << shift) + Fraction(1, 2)
    want = max(-128, min(127, exact.numerator // exact.denominator))
    assert got.tolist() == [[want]]


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(floats, min_size=1, max_size=9), st.integers(4, 10))
def test_activations_are_symmetric_and_near(values, act_bits):
    x = np.array([values], np.float32)
    xq, s_x = quantise(x, act_bits)
    limit = act_limit(act_bits)
    assert np.abs(xq).max() <= limit
    assert s_x.dtype == np.float32
    assert (s_x > 0).all()
    error = np.abs(xq * s_x.astype(np.float64) - x)
    assert (error <= s_x.astype(np.float64) * 0.5001).all()
    if np.abs(x).max() > np.finfo(np.float32).tiny * limit:
        assert np.abs(xq).max() == limit


def test_activations_of_zero_stay_zero():
    xq, s_x = quantise(np.zeros((2, 3), np.float32), 8)
    assert not xq.any()
    assert np.isfinite(s_x).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_activations_must_be_finite(make_layer, bad):
    layer = make_layer(1)
    x = np.zeros((2, layer.in_features), np.float32)
    x[1, 2] = bad
    with pytest.raises(LayerError, match=r"'block\.linear'.*finite"):
        layer.forward(x)


def test_forward_is_near_the_matrix(make_layer):
    layer = make_layer(3, k=64, n=16, rank=0, bits=8, bias=False)
    x = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
    want = x @ layer.matrix()
    assert np.abs(layer.forward(x) - want).max() < 0.02 * np.abs(want).max()


def test_matrix_includes_the_low_rank_summand(make_layer):
    layer = make_layer(3, k=64, n=16, rank=3, a_bits=8, b_bits=8, acc_shift=2, bias=False)
    low_rank = low_rank_of(layer)
    factor = low_rank.mult / 2.0 ** low_rank.shift.astype(float)
    want = dense_of(layer).weights * 4.0 + (low_rank.a * factor) @ low_rank.b
    np.testing.assert_allclose(layer.matrix(), want * layer.scale, rtol=1e-12)


def test_bits_count_every_summand(make_layer):
    assert make_layer(0, k=7, n=5, bits=4, rank=2, a_bits=5, b_bits=6).bits == 140 + 70 + 60


def zeros(*shape):
    return np.zeros(shape, np.int8)


@pytest.mark.parametrize(
    ("weights", "bits", "match"),
    [
        (zeros(2, 2) + np.int8(8), 4, "-8 to 7 to fit bits 4, not 8 to 8"),
        (zeros(2, 2), 9, "1 to 8, not 9"),
        (zeros(2), 4, "two-dimensional int8"),
        (np.zeros((2, 2)), 4, "int8"),
    ],
)
def test_impossible_dense_summands_are_refused(weights, bits, match):
    with pytest.raises(LayerError, match=match):
        Dense(weights, bits)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda _: {"summands": ()}, "needs one summand at least"),
        (lambda s: {"summands": s[1:]}, r"summand 0, LowRank, must have acc_shift 0, not 4"),
        (
            lambda s: {"summands": (s[0], replace(s[1], acc_shift=9))},
            "summand 1, LowRank, must have acc_shift 0 to 8, not 9",
        ),
        (
            lambda s: {"summands": (replace(s[1], acc_shift=0), s[0])},
            "multiply the input directly must come before",
        ),
        (lambda _: {"act_bits": 3}, "4 to 10, not 3"),
        (lambda _: {"in_features": 0}, "at least 1, not 0 and 5"),
        (
            lambda _: {"in_features": 8},
            r"summand 0, Dense, must be of shape \(8, 5\), not \(7, 5\)",
        ),
        (
            lambda s: {"summands": (replace(s[1], acc_shift=0),), "out_features": 6},
            r"summand 0, LowRank, must be of shape \(7, 6\)",
        ),
        (lambda _: {"scale": np.zeros(4, np.float32)}, r"scale must be float32 of shape \(5,\)"),
        (lambda _: {"scale": np.full(5, np.nan, np.float32)}, "scale must be finite"),
        (lambda _: {"bias": np.zeros(5)}, "bias must be float32"),
    ],
)
def test_impossible_layers_are_refused(make_layer, change, match):
    layer = make_layer(0)
    with pytest.raises(LayerError, match=match):
        replace(layer, **change(layer.summands))


@given(st.integers(0, 10**6), st.lists(st.sampled_from(["dense", "low"]), min_size=1, max_size=4))
def test_any_number_of_summands_add_up(make_layer, seed, kinds):
    layers = [make_layer(seed + i, bias=False) for i in range(len(kinds))]
    pairs = zip(layers, sorted(kinds), strict=True)
    summands = [dense_of(x) if kind == "dense" else low_rank_of(x) for x, kind in pairs]
    first, *rest = (replace(summand, acc_shift=i % 3) for i, summand in enumerate(summands))
    layer = replace(layers[0], summands=(replace(first, acc_shift=0), *rest))
    x = np.random.default_rng(seed).integers(-128, 128, (2, layer.in_features))
    got = layer.accumulate(x)
    assert got.tolist() == [by_hand(layer, row) for row in x.tolist()]
    assert np.abs(got).max() < 1 << (layer.acc_bits - 1)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"b": zeros(3, 5)}, "share a rank"),
        ({"mult": np.zeros(3, np.uint16)}, r"mult must be uint16 of shape \(2,\)"),
        ({"shift": np.zeros(2, np.uint8)}, "1 to 47, not 0 to 0"),
        ({"shift": np.full(2, 48, np.uint8)}, "1 to 47, not 48 to 48"),
        ({"a_bits": 0}, "a_bits must be 1 to 8"),
    ],
)
def test_impossible_low_rank_summands_are_refused(make_layer, fields, match):
    base = low_rank_of(make_layer(0))
    with pytest.raises(LayerError, match=match):
        replace(base, **fields)


def test_activations_of_another_width_are_refused(make_layer):
    with pytest.raises(LayerError, match=r"\(tokens, 7\), not \(2, 6\)"):
        make_layer(0).accumulate(np.zeros((2, 6), np.int16))
