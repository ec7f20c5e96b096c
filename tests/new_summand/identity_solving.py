"""How a scaled identity is found; imports torch."""

import numpy as np
import torch

from summand.summands.errors import SolveError
from summand.summands.estimating import Estimate, Estimator, Trial
from summand.summands.solving import Method, Part, Task

from .scaled_identity import IdentityChoice, ScaledIdentity


class IdentityMethod(Method):
    """Rounds the diagonal of what is left, in the unit of the summands before it."""

    def __init__(self, choice: IdentityChoice):
        self._choice = choice

    @property
    def needs_moments(self) -> bool:
        """It looks at the weight alone."""
        return False

    def solve(self, task: Task) -> Part:
        """Return the factors nearest to the diagonal."""
        if task.unit is None:
            raise SolveError("an identity takes the unit of the summands before it")
        bits, shift = self._choice.bits, self._choice.acc_shift
        unit = task.unit * 2.0**-shift
        high = min((1 << (bits - 1)) - 1, task.limit)
        factors = (task.weight.diagonal() / unit).round().clamp(-high, high)
        summand = ScaledIdentity(factors.numpy().astype(np.int8), bits, acc_shift=shift)
        return Part(summand, unit, lambda: torch.diag(factors * unit))


class IdentityEstimator(Estimator):
    """Takes away the diagonal's share of what is left."""

    def __init__(self, trial: Trial):
        self._trial = trial

    def add(self, choice: IdentityChoice, before: Estimate | None) -> Estimate:
        """Return the loss without the diagonal."""
        assert before is not None
        lost = before.lost()
        share = float(lost.diagonal().square().sum() / lost.square().sum())
        return Estimate(before.loss * (1 - share), before.lost)
