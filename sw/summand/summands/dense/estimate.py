"""Estimates the loss of dense summands."""

from collections.abc import Mapping

import torch

from summand.summands.dense.choice import DenseChoice
from summand.summands.dense.solve.gptq import Gptq
from summand.summands.dense.solve.problem import DenseProblem, DenseSolver
from summand.summands.dense.solve.rtn import RoundToNearest
from summand.summands.estimating import Estimate, Estimator, Trial
from summand.summands.solving import output_errors

__all__ = ["DenseEstimator"]

#: Widths up to this are tried out; each further bit quarters the error.
_WIDEST_TRIED = 5

#: The width of groups' trials, and of what a dense summand is taken to leave.
_USUAL = 4

#: The solvers' quick variants, whose errors are in proportion.
_PROBES: Mapping[str, DenseSolver] = {
    "rtn": RoundToNearest(steps=8, refinements=1),
    "gptq": Gptq(rounds=0),
}


class DenseEstimator(Estimator):
    """Tries out narrow widths and one size of groups, the first that it is asked for.

    Other sizes are taken to differ as rounding to nearest does, and wider widths to lose a quarter
    for each bit.
    """

    def __init__(self, trial: Trial):
        self._trial = trial
        self._known: dict[tuple[int, int, int, str], float] = {}
        self._base: int | None = None

    def add(self, choice: DenseChoice, before: Estimate | None) -> Estimate:
        """Return the estimate of a dense summand, which is the first."""
        narrow = min(choice.bits, _WIDEST_TRIED)
        if self._base is None:
            self._base = choice.group
        loss = self._tried(narrow, self._base, choice.scale_bits, choice.solver)
        loss *= 4.0 ** (narrow - choice.bits)
        if choice.group != self._base:
            loss *= self._tried(_USUAL, choice.group, choice.scale_bits, "rtn")
            loss /= max(self._tried(_USUAL, self._base, choice.scale_bits, "rtn"), 1e-300)

        def lost() -> torch.Tensor:
            weight = self._trial.weight
            return self._lost(weight, _USUAL, choice.group, choice.scale_bits, choice.solver)

        return Estimate(loss, lost)

    def _tried(self, bits: int, group: int, scale_bits: int, solver: str) -> float:
        """Return the loss of a dense summand."""
        key = bits, group, scale_bits, solver
        if key not in self._known:
            lost = self._lost(self._trial.rows, bits, group, scale_bits, solver)
            errors = output_errors(lost, self._trial.energy, self._trial.moments)
            self._known[key] = float(errors @ self._trial.costs)
        return self._known[key]

    def _lost(
        self, weight: torch.Tensor, bits: int, group: int, scale_bits: int, solver: str
    ) -> torch.Tensor:
        problem = DenseProblem(
            weight=weight,
            bits=bits,
            energy=self._trial.energy,
            moments=self._trial.moments,
            limit=1 << 40,
            group=group,
            scale_bits=scale_bits if group else 0,
        )
        return weight - _PROBES[solver].solve(problem).matrix()
