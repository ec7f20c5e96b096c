"""Estimates the loss of low-rank summands."""

import torch

from summand.summands.estimating import Estimate, Estimator, Trial
from summand.summands.lowrank.choice import LowRankChoice
from summand.summands.lowrank.solve.weighting import Weighting

__all__ = ["LowRankEstimator"]

#: Mean square error of the best uniform rounding of normal numbers, relative, at 1 to 8 bits.
_ROUNDING = (0.3634, 0.1188, 0.03744, 0.01154, 0.003495, 0.001041, 0.0003035, 0.00008714)


class LowRankEstimator(Estimator):
    """Takes the leading part of the spectrum of what the summands before it leave.

    In whitened coordinates, less what rounding the factors leaves of that part. Each layer's
    spectrum is taken once, of what the first choice comes behind.
    """

    def __init__(self, trial: Trial):
        self._trial = trial
        self._tails: list[torch.Tensor] | None = None

    def add(self, choice: LowRankChoice, before: Estimate | None) -> Estimate:
        """Return the estimate with ranks behind other summands, which there must be."""
        assert before is not None
        if self._tails is None:
            white = Weighting.of_inputs(self._trial.moments, 0.01)
            self._tails = [_tail(white, lost) for lost in before.lost()]
        left = torch.stack([tail[min(choice.rank, len(tail)) - 1] for tail in self._tails])
        share = left + (1 - left) * 2 * _ROUNDING[choice.bits - 1]
        return Estimate(before.loss * share, before.lost)


def _tail(weighting: Weighting, lost: torch.Tensor) -> torch.Tensor:
    """Return what each rank leaves of the square error of lost weights ``[N, K]``, as a share."""
    white = weighting.white(lost.T.double())
    gram = white @ white.T if len(white) <= white.shape[1] else white.T @ white
    values = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)
    return 1 - values.cumsum(0) / values.sum().clamp_min(1e-300)
