"""Groups of channels by their ranges, and the order that they are in."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from summand.compress.solve.levels import levels_of, ordered_levels

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
