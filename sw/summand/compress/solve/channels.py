"""Groups of an input's channels, chosen from calibration."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.solve.levels import ordered_levels
from summand.model import Transform
from summand.model.channels import ChannelGroups
from summand.recipe.grouping import Grouping
from summand.summands.integers import quantise

__all__ = ["choose_groups"]


def choose_groups(
    seen: InputStatistics,
    grouping: Grouping,
    loudness: torch.Tensor,
    *,
    balance: npt.NDArray[np.float32] | None = None,
    together: int = 1,
) -> ChannelGroups | None:
    """Return the groups of an input's channels, or None where none are better.

    Groups are those of Tender (arXiv 2406.12930), with centres in the middle of each channel's
    range, and the same without centres. What changes the outputs of the sampled tokens least by
    rounding is taken. A few tokens whose values are far above all others let both be worse than one
    scale for all channels: their channels get coarse scales for every token.

    Parameters
    ----------
    seen : InputStatistics
        Of the input, with bounds of channels.
    grouping : Grouping
        How many there may be, and where they may begin.
    loudness : float tensor, shape ``[K]``
        Mean square of the weights that multiply each channel.
    balance : float32 array, shape ``[K]``, optional
        What each channel is multiplied by before.
    together : int
        As in :func:`~summand.compress.solve.levels.ordered_levels`.
    """
    best, least = None, _loss(seen, None, grouping.act_bits, loudness, balance)
    for groups in _candidates(seen, grouping, balance, together):
        loss = _loss(seen, groups, grouping.act_bits, loudness, balance)
        if loss < least:
            best, least = groups, loss
    return best


def _candidates(
    seen: InputStatistics,
    grouping: Grouping,
    balance: npt.NDArray[np.float32] | None,
    together: int,
) -> Iterator[ChannelGroups]:
    assert seen.low is not None
    assert seen.high is not None
    middle = (seen.low + seen.high) / 2
    for centre in (torch.zeros_like(middle), middle):
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
        if borders:
            taken = centre.numpy() if centre.any() else None
            yield ChannelGroups(order.astype(np.int32), borders, taken)


def _loss(
    seen: InputStatistics,
    groups: ChannelGroups | None,
    act_bits: int,
    loudness: torch.Tensor,
    balance: npt.NDArray[np.float32] | None,
) -> float:
    """Return the mean square error of outputs by rounding inputs, relative to each token's own."""
    k = len(loudness)
    transform = Transform(k, balance, groups=groups)
    weight = loudness.double().numpy() / (1 if balance is None else np.square(balance, dtype=float))
    x = transform.apply(seen.sample.numpy())
    if groups is None:
        xq, s_x = quantise(x, act_bits)
    else:
        xq, s_x = groups.quantise(x, act_bits)
        s_x = s_x * groups.lift
    lost = np.square(xq * s_x.astype(np.float64) - x)
    whole = np.square(seen.sample.double().numpy()) @ loudness.double().numpy()
    share = lost @ (weight if groups is None else weight[groups.order])
    return float((share / np.maximum(whole, 1e-300)).mean())
