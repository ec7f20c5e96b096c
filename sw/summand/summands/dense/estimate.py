"""Estimates the loss of dense summands."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from summand.isa import limits
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
    for each bit, but for what a pattern loses at any width.
    """

    def __init__(self, trial: Trial):
        self._trial = trial
        self._known: dict[DenseChoice, torch.Tensor] = {}
        self._base: DenseChoice | None = None

    def add(self, choice: DenseChoice, before: Estimate | None) -> Estimate:
        """Return the estimate of a dense summand, which is the first."""
        narrow = min(choice.bits, _WIDEST_TRIED)
        if self._base is None:
            self._base = choice
        loss = self._tried(self._grouped(replace(choice, bits=narrow)))
        if choice.bits > narrow:
            pruned = torch.zeros_like(loss)
            if choice.pattern is not None:
                pruned = self._tried(self._grouped(replace(choice, bits=limits.PLANES.high)))
            loss = pruned + (loss - pruned).clamp_min(0) * 4.0 ** (narrow - choice.bits)
        usual = replace(choice, bits=_USUAL)
        if choice.group != self._base.group:
            rounded = replace(usual, solver="rtn", score=_score(choice))
            base = self._tried(self._grouped(rounded))
            loss = loss * self._tried(rounded) / base.clamp_min(1e-300)
        return Estimate(loss, lambda: self._lost_of_all(usual))

    def _grouped(self, choice: DenseChoice) -> DenseChoice:
        """Return a choice with the groups that are tried out, and their scales."""
        assert self._base is not None
        return replace(choice, group=self._base.group, scale_bits=self._base.scale_bits)

    def _lost_of_all(self, choice: DenseChoice) -> tuple[torch.Tensor, ...]:
        weights = self._trial.weights
        return self._lost(torch.cat(weights), choice).split([len(w) for w in weights])

    def _tried(self, choice: DenseChoice) -> torch.Tensor:
        """Return the loss of a dense summand, float64 ``[L]``."""
        if choice not in self._known:
            lost = self._lost(self._trial.rows, choice)
            errors = output_errors(lost, self._trial.energy, self._trial.moments)
            self._known[choice] = errors.double() @ self._trial.costs.double()
        return self._known[choice]

    def _lost(self, weight: torch.Tensor, choice: DenseChoice) -> torch.Tensor:
        problem = DenseProblem(
            weight=weight,
            grid=choice.grid,
            energy=self._trial.energy,
            moments=self._trial.moments,
            limit=1 << 40,
            group=choice.group,
            scale_bits=choice.scale_bits if choice.group else 0,
            pattern=choice.pattern,
            score=choice.score,
        )
        return weight - _PROBES[choice.solver].solve(problem).matrix()


def _score(choice: DenseChoice) -> str:
    """Return the score that rounding to nearest has in place of a choice's."""
    return "wanda" if choice.score == "sparsegpt" else choice.score
