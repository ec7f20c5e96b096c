"""Groups of an input's channels, chosen from calibration, as in Tender (arXiv 2406.12930)."""

import math

import numpy as np
import numpy.typing as npt
import torch

from summand.compress.calibrate.calibration import InputStatistics
from summand.model.channels import ChannelGroups
from summand.recipe.grouping import Grouping

__all__ = ["choose_groups", "levels_of", "ordered_levels"]


def choose_groups(
    seen: InputStatistics,
    grouping: Grouping,
    *,
    balance: npt.NDArray[np.float32] | None = None,
    together: int = 1,
) -> ChannelGroups | None:
    """Return the groups of an input's channels, or None if all of them are in one.

    The middle of each channel's range is its centre.

    Parameters
    ----------
    seen : InputStatistics
        Of the input, with bounds of channels.
    grouping : Grouping
        How many there may be, and where they may begin.
    balance : float32 array, shape ``[K]``, optional
        What each channel is multiplied by before.
    together : int
        As in :func:`ordered_levels`.
    """
    assert seen.low is not None
    assert seen.high is not None
    centre = (seen.low + seen.high) / 2
    peaks = torch.maximum(seen.high - centre, centre - seen.low).double().numpy()
    order, levels = ordered_levels(
        peaks if balance is None else peaks * balance,
        grouping.groups,
        block=grouping.block,
        together=together,
        step=grouping.shift,
    )
    steps = np.diff(levels)
    borders = tuple((int(k) + 1, int(steps[k])) for k in np.flatnonzero(steps))
    if not borders:
        return None
    return ChannelGroups(order.astype(np.int32), borders, centre.numpy())


def levels_of(peaks: npt.NDArray[np.floating], groups: int) -> npt.NDArray[np.int64]:
    """Return the group of each channel.

    Group ``g`` holds the channels with ``top / 2**(g + 1) < peak <= top / 2**g``, ``top`` the
    largest peak; the last takes all smaller ones too.

    Parameters
    ----------
    peaks : float64 array, shape ``[K]``
        Largest magnitude of each channel.
    groups : int
        At least 1.

    Returns
    -------
    int64 array, shape ``[K]``
        0 to ``groups - 1``.
    """
    top = float(peaks.max(initial=0))
    if not top:
        return np.zeros(len(peaks), np.int64)
    levels = np.full(len(peaks), groups - 1)
    loud = peaks > math.ldexp(top, 1 - groups)
    # A peak is m * 2**e with 0.5 <= m < 1; it is in the group of the top if m is no larger.
    mantissas, exponents = np.frexp(peaks[loud])
    most, highest = math.frexp(top)
    levels[loud] = highest - exponents - (mantissas > most)
    return levels


def ordered_levels(
    peaks: npt.NDArray[np.floating], groups: int, *, block: int, together: int = 1, step: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return an order of channels, and the group of each in that order, which never falls.

    Parameters
    ----------
    peaks : float64 array, shape ``[K]``
        Largest magnitude of each channel.
    groups : int
        At most so many; at least 1.
    block : int
        Groups begin at multiples of it. Channels that are in a block with coarser ones join their
        group, so that nothing is padded.
    together : int
        Neighbours that stay together, from channel 0 on; the last of them perhaps fewer, which
        then stay last.
    step : int
        Most that a group may differ from the one before it; finer blocks come later then.
    """
    k = len(peaks)
    starts = np.arange(0, k, together)
    whole = k // together
    loudest = np.maximum.reduceat(peaks, starts)[:whole]
    sets = np.append(np.argsort(-loudest, kind="stable"), np.arange(whole, len(starts)))
    order = np.concatenate([np.arange(s, min(s + together, k)) for s in starts[sets]])
    levels = levels_of(peaks, groups)[order]
    blocks = np.minimum.reduceat(levels, np.arange(0, k, block))
    wanted = np.minimum.accumulate(blocks[::-1])[::-1]
    before, found = 0, []
    for level in wanted.tolist():
        before = min(level, before + step)
        found.append(before)
    return order, np.repeat(found, block)[:k]
