"""Estimates the loss of outliers."""

from dataclasses import replace

import torch

from summand.summands.dense.solve.problem import DenseProblem
from summand.summands.dense.solve.rtn import RoundToNearest
from summand.summands.estimating import Estimate, Estimator, Trial
from summand.summands.grid import Grid
from summand.summands.inverse import Inverse
from summand.summands.outliers.choice import OutliersChoice
from summand.summands.pruning import best_of_blocks, saliency

__all__ = ["OutliersEstimator"]

#: The width of a dense summand that is rounded with and without outliers.
_USUAL = 4


class OutliersEstimator(Estimator):
    """Takes the share of its loss that a dense summand keeps to be that of rounding to nearest.

    With outliers it rounds the other weights alone, on a finer scale; what is lost of outliers
    themselves is little, and is not counted.
    """

    def __init__(self, trial: Trial):
        self._trial = trial
        self._shares: dict[OutliersChoice, torch.Tensor] = {}
        self._problem = DenseProblem(
            weight=trial.rows, grid=Grid(_USUAL), energy=trial.energy, moments=None, limit=1 << 40
        )

    def add(self, choice: OutliersChoice, before: Estimate | None) -> Estimate:
        """Return the estimate with outliers behind a dense summand, which there must be."""
        assert before is not None
        if choice not in self._shares:
            self._shares[choice] = self._share(choice)
        return Estimate(before.loss * self._shares[choice], before.lost)

    def _share(self, choice: OutliersChoice) -> torch.Tensor:
        trial = self._trial
        order = torch.arange(len(trial.energy))
        diagonal = Inverse(trial.moments, order, 0.1).diagonal()
        scores = saliency(choice.score, trial.rows, trial.energy, diagonal)
        inside = trial.rows.masked_fill(best_of_blocks(scores, choice.pattern), 0)
        whole = self._loss(trial.rows)
        return torch.where(whole > 0, self._loss(inside) / whole.clamp_min(1e-300), 1.0)

    def _loss(self, weight: torch.Tensor) -> torch.Tensor:
        found = RoundToNearest(steps=8, refinements=1).solve(replace(self._problem, weight=weight))
        errors = (weight - found.matrix()).square() @ self._trial.energy
        return errors.double() @ self._trial.costs.double()
