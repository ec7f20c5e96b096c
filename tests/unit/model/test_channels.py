"""Groups of channels: their order, their borders, and what these make of a layer."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.model import ChannelGroups, Transform
from summand.model.transform import same_transform
from summand.summands.errors import LayerError

from .grouped import grouped, shifted

ORDER = np.arange(8, dtype=np.int32)[::-1].copy()


def groups_of(**changed) -> ChannelGroups:
    return ChannelGroups(**{"order": ORDER, "borders": ((2, 1), (4, 3)), **changed})


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"order": ORDER.astype(np.int64)}, "order must be int32 of one dimension, not int64"),
        ({"order": ORDER[None]}, r"of one dimension, not int32 of shape \(1, 8\)"),
        ({"order": np.zeros(8, np.int32)}, "order must hold each of 0 to 7 once"),
        ({"borders": ()}, "borders must hold one at least"),
        ({"borders": ((0, 1),)}, "borders must ascend from 1 to 7, not 0 after 0"),
        ({"borders": ((8, 1),)}, "borders must ascend from 1 to 7, not 8 after 0"),
        ({"borders": ((4, 1), (4, 1))}, "borders must ascend from 1 to 7, not 4 after 4"),
        ({"borders": ((4, 0),)}, "a border's shift must be 1 to 7, not 0"),
        ({"borders": ((4, 8),)}, "a border's shift must be 1 to 7, not 8"),
        ({"borders": ((4, 1, 1),)}, "a border must be a feature and a shift"),
        ({"borders": ((1, 7), (2, 7), (3, 2))}, "must add up to 15 at most, not 16"),
        ({"borders": ((1, 1),) * 16}, "borders must be 15 at most, not 16"),
        ({"centre": np.zeros(7, np.float32)}, r"centre must be float32 of shape \(8,\)"),
        ({"centre": np.full(8, np.nan, np.float32)}, "centre must be finite"),
    ],
)
def test_groups_are_checked(changed, match):
    with pytest.raises(LayerError, match=match):
        groups_of(**changed)


def test_levels_count_shifts():
    groups = groups_of()
    assert groups.shifts == 4
    assert groups.levels.tolist() == [0, 0, 1, 1, 4, 4, 4, 4]
    assert groups.lift.tolist() == [16, 16, 8, 8, 1, 1, 1, 1]
    assert groups.places[groups.order].tolist() == list(range(8))


def test_a_transform_has_groups_of_its_own_features_and_no_rotation_with_them():
    with pytest.raises(LayerError, match="groups must be of 9 features, not 8"):
        Transform(9, groups=groups_of())
    with pytest.raises(LayerError, match="rotation must be left out where channels have groups"):
        Transform(8, rotation=1, groups=groups_of())


def test_inputs_are_the_same_if_their_groups_are():
    c = np.arange(8, dtype=np.float32)
    same = [Transform(8, groups=groups_of(centre=c)), Transform(8, groups=groups_of(centre=c + 0))]
    assert same_transform(*same)
    for other in (
        Transform(8, np.ones(8, np.float32)),
        Transform(8, groups=groups_of()),
        Transform(8, groups=groups_of(centre=c + 1)),
        Transform(8, groups=groups_of(centre=c, borders=((2, 1), (4, 2)))),
        Transform(8, groups=groups_of(centre=c, order=np.arange(8, dtype=np.int32))),
    ):
        assert not same_transform(same[0], other)
        assert not same_transform(other, same[0])


@settings(deadline=None)
@given(st.data(), st.integers(2, 40), st.booleans())
def test_outputs_stay_what_they_are_but_for_the_centre(data, k, balanced):
    rng = np.random.default_rng(k)
    c = rng.uniform(0.5, 2, k).astype(np.float32) if balanced else None
    transform = Transform(k, c, groups=data.draw(grouped(k)))
    x, w = (rng.normal(size=(5, k)).astype(np.float32) for _ in range(2))
    behind = transform.apply(x).astype(np.float64)
    if transform.centre is not None:
        behind += transform.centre
    np.testing.assert_allclose(behind @ transform.weights(w).T, x.astype(float) @ w.T, atol=1e-4)
    np.testing.assert_allclose(
        transform.moments(x.T.astype(float) @ x), behind.T @ behind, rtol=1e-4, atol=1e-4
    )
    moved = transform.apply(x + w) - transform.apply(x)
    np.testing.assert_allclose(
        (transform.transposed(x) * w).sum(axis=1), (x * moved).sum(axis=1), rtol=1e-3, atol=1e-4
    )


def described(transform: Transform, act_bits: int, x: list[np.float32]):
    """Turn one token into integers as docs/numerics.md says, a number at a time."""
    groups, k = transform.groups, transform.features
    assert groups is not None
    y = []
    for j in range(k):
        i = int(groups.order[j])
        value = x[i] if groups.centre is None else x[i] - groups.centre[i]
        if transform.balance is not None:
            value = value * transform.balance[i]
        level = sum(shift for first, shift in groups.borders if first <= j)
        y.append(value * np.float32(2**level))
    qmax = 2 ** (act_bits - 1) - 1
    scale = max(abs(value) for value in y) / np.float32(qmax)
    xq = [min(max(int(np.rint(value / scale)), -qmax), qmax) for value in y]
    return xq, scale / np.float32(2 ** sum(shift for _, shift in groups.borders))


@settings(deadline=None, max_examples=30)
@given(data=st.data(), act_bits=st.integers(4, 10), balanced=st.booleans())
def test_every_bit_is_as_described(data, make_layer_of, act_bits, balanced):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    c = rng.uniform(0.5, 2, 24).astype(np.float32) if balanced else None
    transform = Transform(24, c, groups=data.draw(grouped(24)))
    layer = make_layer_of(transform, act_bits=act_bits)
    x = (rng.standard_cauchy(size=(1, 24))).astype(np.float32)
    xq, s_x = layer.quantise(x)
    want, scale = described(transform, act_bits, list(x[0]))
    assert xq[0].tolist() == want
    assert s_x[0, 0] == scale


@settings(deadline=None)
@given(data=st.data(), rank=st.integers(0, 3))
def test_accumulators_are_shifted_at_borders(data, make_layer_of, rank):
    groups = data.draw(grouped(24))
    layer = make_layer_of(Transform(24, groups=groups), rank=rank)
    xq = np.random.default_rng(0).integers(-128, 128, (5, 24))
    dense, *low = layer.summands
    want = shifted(groups, xq, dense.integers())
    for summand in low:
        t = shifted(groups, xq, summand.a.astype(np.int64))
        half = np.left_shift(1, summand.shift.astype(np.int64) - 1)
        t = (t * summand.mult + half) >> summand.shift.astype(np.int64)
        want = (want << summand.acc_shift) + np.clip(t, -128, 127) @ summand.b.astype(np.int64)
    np.testing.assert_array_equal(layer.accumulate(xq), want)


@settings(deadline=None)
@given(data=st.data(), rank=st.integers(0, 2))
def test_no_activations_overflow_and_some_come_near(data, make_layer_of, rank):
    layer = make_layer_of(Transform(24, groups=data.draw(grouped(24))), rank=rank)
    dense = layer.summands[0].integers()
    worst = np.where(dense.T < 0, 127, -128)
    acc = np.abs(layer.accumulate(worst))
    assert acc.max() < 1 << (layer.acc_bits - 1)
    if not rank:
        assert acc.max() >= 1 << (layer.acc_bits - 3)


@settings(deadline=None)
@given(data=st.data())
def test_a_bias_makes_up_for_the_centre(data, make_layer_of):
    groups = data.draw(grouped(24))
    transform = Transform(24, groups=groups)
    layer = make_layer_of(transform)
    centred = layer.with_centre(layer.matrix())
    if groups.centre is None or transform.centre is None:
        assert centred is layer
        return
    x = groups.centre[None]
    np.testing.assert_allclose(
        centred.forward(x), transform.centre[None] @ layer.matrix(), rtol=1e-5, atol=1e-5
    )


def test_what_is_added_is_made_up_for_too(make_layer_of):
    groups = groups_of(centre=np.arange(8, dtype=np.float32))
    layer = make_layer_of(Transform(8, groups=groups))
    full = make_layer_of(Transform(8, groups=groups), rank=2)
    low = dataclasses.replace(full.summands[1], acc_shift=4)
    adapted = layer.with_centre(layer.matrix()).plus(low)
    bias = layer.transform.centre @ adapted.matrix()
    np.testing.assert_allclose(adapted.bias, bias, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="session")
def make_layer_of(make_layer):
    def make(transform: Transform, rank: int = 0, act_bits: int = 8):
        k = transform.features
        layer = make_layer(1, k=k, n=6, rank=rank, act_bits=act_bits, bias=False)
        return dataclasses.replace(layer, transform=transform)

    return make
