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

    In whitened coordinates, less what rounding the factors leaves of that part. The spectrum is
    taken once, of what the first choice comes behind.
    """

    def __init__(self, trial: Trial):
        self._trial = trial
        self._tail: torch.Tensor | None = None

    def add(self, choice: LowRankChoice, before: Estimate | None) -> Estimate:
        """Return the estimate with ranks behind other summands, which there must be."""
        assert before is not None
        if self._tail is None:
            self._tail = self._tail_of(before.lost())
        left = float(self._tail[min(choice.rank, len(self._tail)) - 1])
        share = left + (1 - left) * 2 * _ROUNDING[choice.bits - 1]
        return Estimate(before.loss * share, before.lost)

    def _tail_of(self, lost: torch.Tensor) -> torch.Tensor:
        """Return what each rank leaves of the square error of lost weights, as a share."""
        white = Weighting.of_inputs(self._trial.moments, 0.01).white(lost.T.double())
        gram = white @ white.T if len(white) <= white.shape[1] else white.T @ white
        values = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)
        return 1 - values.cumsum(0) / values.sum().clamp_min(1e-300)
