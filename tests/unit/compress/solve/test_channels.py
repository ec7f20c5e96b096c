"""Groups of channels, chosen by what rounding costs."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.solve.balance import choose_transform
from summand.compress.solve.channels import choose_groups
from summand.model import ChannelGroups
from summand.recipe.grouping import Grouping


def seen(x: torch.Tensor) -> InputStatistics:
    energy = x.square().mean(dim=0) + 1e-6
    return InputStatistics(len(x), energy, None, x, x.amin(dim=0), x.amax(dim=0))


def tokens(loud: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Return evenly spread tokens, channel by channel up to ``loud`` in magnitude."""
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(256, len(loud), generator=g) * 2 - 1) * loud


def chosen(x: torch.Tensor, *, shift: int = 7, groups: int = 16) -> ChannelGroups | None:
    grouping = Grouping(groups=groups, block=4, shift=shift, act_bits=6)
    return choose_groups(seen(x), grouping, 1 / x.square().mean(dim=0).clamp_min(1e-6))


LOUD = torch.tensor([1.1, 7.0, 300.0, 2.3] * 4)


def test_loud_channels_come_first():
    groups = chosen(tokens(LOUD))
    assert groups is not None
    assert groups.centre is None
    loud = LOUD[torch.from_numpy(groups.order).long()]
    assert loud.tolist() == sorted(loud.tolist(), reverse=True)
    assert groups.borders == ((4, 5), (8, 2), (12, 1))


def test_centres_are_taken_away_where_they_are_far_out():
    centres = torch.tensor([0.0, 100.0, 0.0, 0.0] * 4)
    x = tokens(torch.tensor([1.1, 7.0, 60.0, 2.3] * 4)) + centres
    groups = chosen(x)
    assert groups is not None
    assert groups.centre is not None
    assert np.abs(groups.centre - centres.numpy()).max() < 1
    assert (groups.order[:4] % 4).tolist() == [2] * 4


def test_a_few_tokens_of_huge_values_leave_one_scale():
    """Groups would give channels that are seldom loud a coarse scale for every token."""
    x = tokens(torch.ones(16))
    x[::128, :4] *= 1e4
    grouping = Grouping(groups=16, block=4, shift=7, act_bits=6)
    assert choose_groups(seen(x), grouping, torch.ones(16)) is None


def test_borders_shift_no_further_than_the_engine():
    groups = chosen(tokens(LOUD), shift=1)
    assert groups is not None
    assert groups.borders == ((4, 1), (8, 1), (12, 1))


def test_channels_that_are_alike_get_no_groups():
    assert chosen(tokens(torch.ones(16))) is None
    assert chosen(torch.zeros(9, 16)) is None


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), balance=st.booleans())
def test_groups_come_behind_the_balance(seed, balance):
    rng = np.random.default_rng(seed)
    loud = torch.from_numpy(2.0 ** rng.integers(0, 9, 16)).float()
    x = tokens(loud, seed) * torch.from_numpy(rng.exponential(size=(256, 1))).float()
    weight = torch.from_numpy(rng.normal(size=(5, 16)).astype(np.float32))
    grouping = Grouping(groups=8, block=4, shift=7, act_bits=5)
    how = {"balance": balance, "rotate": False, "seed": 0}
    grouped = choose_transform([weight], seen(x), grouping=grouping, **how)
    plain = choose_transform([weight], seen(x), **how)
    if balance:
        assert plain is not None
        assert grouped is not None
        np.testing.assert_array_equal(grouped.balance, plain.balance)
    if grouped is None or grouped.groups is None:
        return
    assert not any(first % 4 for first, _ in grouped.groups.borders)
    peaks = np.abs(grouped.apply(x.numpy())).max(axis=0)
    raised = np.ldexp(peaks, grouped.groups.levels)
    assert raised.max() <= peaks.max() * 1.001
