"""Groups of channels, chosen by their ranges."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.solve.balance import choose_transform
from summand.compress.solve.channels import choose_groups, levels_of, ordered_levels
from summand.recipe.grouping import Grouping

peaks_of = st.lists(st.floats(1e-6, 1e6) | st.sampled_from([0.0, 1.0, 2.0, 4.0]), min_size=1)


@given(peaks_of, st.integers(1, 16))
def test_levels_are_those_of_the_paper(values, groups):
    peaks = np.array(values)
    top = max(values)
    for peak, level in zip(values, levels_of(peaks, groups).tolist(), strict=True):
        assert 0 <= level < groups
        assert peak <= math.ldexp(top, -level)
        if level < groups - 1 and top:
            assert peak > math.ldexp(top, -level - 1)


@given(
    values=peaks_of,
    groups=st.integers(1, 16),
    block=st.integers(1, 8),
    together=st.integers(1, 6),
    step=st.integers(1, 7),
)
def test_groups_begin_at_blocks_and_hold_no_louder_channel(values, groups, block, together, step):
    peaks = np.array(values)
    k, top = len(peaks), max(values)
    order, levels = ordered_levels(peaks, groups, block=block, together=together, step=step)
    assert sorted(order.tolist()) == list(range(k))
    assert (peaks[order] <= np.ldexp(top, -levels)).all()
    assert levels[0] == 0
    assert levels[-1] < groups
    steps = np.diff(levels)
    assert ((steps >= 0) & (steps <= step)).all()
    assert not ((np.flatnonzero(steps) + 1) % block).any()
    sets = order // together
    assert sum(np.diff(sets) != 0) + 1 == -(-k // together)
    inside = np.diff(order)[np.diff(sets) == 0]
    assert (inside == 1).all()


@given(values=peaks_of, groups=st.integers(2, 16))
def test_without_blocks_each_channel_is_in_its_own_group(values, groups):
    peaks = np.array(values)
    order, levels = ordered_levels(peaks, groups, block=1, step=16)
    np.testing.assert_array_equal(levels, levels_of(peaks, groups)[order])


def seen(low: list[float], high: list[float]) -> InputStatistics:
    k = len(low)
    return InputStatistics(
        8, torch.ones(k), None, torch.zeros(1, k), torch.tensor(low), torch.tensor(high)
    )


def test_channels_are_grouped_by_what_is_left_without_their_centres():
    low = [-1.0, 90.0, -60.0, -1.0] * 4
    high = [1.0, 110.0, 100.0, 3.0] * 4
    groups = choose_groups(seen(low, high), Grouping(groups=8, block=4, shift=7))
    assert groups is not None
    assert groups.order.tolist() == [2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15, 0, 4, 8, 12]
    assert groups.borders == ((4, 3), (8, 2), (12, 1))
    assert groups.centre is not None
    assert groups.centre.tolist() == [0.0, 100.0, 20.0, 1.0] * 4


def test_borders_shift_no_further_than_the_engine():
    low, high = [-1024.0] + [-1.0] * 15, [1024.0] + [1.0] * 15
    groups = choose_groups(seen(low, high), Grouping(groups=16, block=4, shift=1))
    assert groups is not None
    assert groups.borders == ((4, 1), (8, 1), (12, 1))


def test_channels_that_are_alike_get_no_groups():
    assert choose_groups(seen([-1.0] * 8, [1.0] * 8), Grouping(groups=8, block=4, shift=7)) is None
    assert choose_groups(seen([0.0] * 8, [0.0] * 8), Grouping(groups=8, block=4, shift=7)) is None


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_balance_comes_first(seed):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy((rng.normal(size=(64, 16)) * 2.0 ** rng.integers(0, 9, 16)).astype("f4"))
    weight = torch.from_numpy(rng.normal(size=(5, 16)).astype("f4"))
    stats = InputStatistics(64, x.square().mean(dim=0), None, x, x.amin(dim=0), x.amax(dim=0))
    grouping = Grouping(groups=16, block=1, shift=7)
    transform = choose_transform(
        [weight], stats, balance=True, rotate=False, seed=0, grouping=grouping
    )
    assert transform is not None
    assert transform.groups is not None
    spread = np.abs(transform.apply(x.numpy())).max(axis=0)
    levels = levels_of(spread.astype(np.float64), 16)
    assert np.abs(levels - transform.groups.levels).max() <= 1  # rounding at a power of two
