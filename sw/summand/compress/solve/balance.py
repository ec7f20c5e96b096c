"""Choose the transform of a group's input, and apply it to statistics and weights."""

from collections.abc import Sequence

import numpy as np
import torch

from summand.compress.calibrate.calibration import InputStatistics, floored
from summand.compress.solve.channels import choose_groups
from summand.model import Transform
from summand.recipe.grouping import Grouping

__all__ = ["choose_transform", "loudness_of", "transformed", "transformed_weight"]

#: Rows of a weight matrix that are transformed at a time, in float64.
_ROWS = 4096

#: Columns whose squares are added up at a time, in float64.
_COLUMNS = 256


def choose_transform(
    weights: Sequence[torch.Tensor],
    seen: InputStatistics,
    *,
    balance: bool,
    rotate: bool,
    seed: int,
    grouping: Grouping | None = None,
) -> Transform | None:
    """Return the transform for layers that share an input.

    The balance of channel ``k`` is ``sqrt(rms(W[:, k]) / rms(x[:, k]))``, over all outputs of all
    layers, at a geometric mean of 1: rounding a channel's activations then costs as much as
    rounding its weights, as in SmoothQuant (arXiv 2211.10438).

    Parameters
    ----------
    weights : sequence of float32 tensors, shape ``[N, K]``
        Of all layers of the group.
    seen : InputStatistics
        Of their input; with bounds of channels where these get groups.
    balance, rotate : bool
        What the transform consists of.
    seed : int
        Of the rotation.
    grouping : Grouping, optional
        How channels are put into groups behind the balance; not together with a rotation.
    """
    if not (balance or rotate or grouping):
        return None
    c = groups = None
    if balance or grouping:
        loudness = loudness_of(weights)
        if balance:
            ratio = (loudness.log() - seen.energy.double().log()) / 4
            c = (ratio - ratio.mean()).exp().float().numpy()
        if grouping:
            groups = choose_groups(seen, grouping, loudness, balance=c)
    if c is None and groups is None and not rotate:
        return None
    return Transform(len(seen.energy), c, seed if rotate else None, groups)


def loudness_of(weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean square of what multiplies each channel, float64 ``[K]``; positive.

    ``weights`` are of all layers that share an input, float32 ``[N, K]``.
    """
    squares = torch.zeros(weights[0].shape[1], dtype=torch.float64)
    for w in weights:
        parts = w.split(_COLUMNS, dim=1)
        squares += torch.cat([part.double().square().sum(dim=0) for part in parts])
    rows = sum(len(w) for w in weights)
    return (squares / rows).clamp_min_(float(squares.mean()) / rows * 1e-4 + 1e-30)


def transformed(statistics: InputStatistics, transform: Transform | None) -> InputStatistics:
    """Return the statistics of the input after ``transform``.

    Exact for second moments; without them, energies are those of the sampled tokens.
    """
    if transform is None:
        return statistics
    sample = torch.from_numpy(transform.apply(statistics.sample.numpy()))
    if statistics.moments is None:
        moments, energy = None, sample.square().mean(dim=0)
    else:
        turned = transform.moments(statistics.moments.numpy())
        moments = torch.from_numpy(((turned + turned.T) / 2).astype(np.float32))
        energy = moments.diagonal().clone()
    return InputStatistics(statistics.tokens, floored(energy), moments, sample)


def transformed_weight(weight: torch.Tensor, transform: Transform | None) -> torch.Tensor:
    """Return the float32 ``[N, K]`` weight that takes the transformed input to the same output."""
    if transform is None:
        return weight
    return torch.cat(
        [torch.from_numpy(transform.weights(w.numpy())).float() for w in weight.split(_ROWS)]
    )
