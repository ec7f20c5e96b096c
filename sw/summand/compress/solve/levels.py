"""Which group each channel of an input is in, and their order, as in Tender (arXiv 2406.12930)."""

import math

import numpy as np
import numpy.typing as npt

__all__ = ["levels_of", "ordered_levels"]


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
