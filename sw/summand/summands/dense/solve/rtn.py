"""Round to nearest, with scales that are searched for."""

from dataclasses import dataclass

import torch

from summand.summands.dense.solve.grouping import Scales, within_limit
from summand.summands.dense.solve.problem import DenseProblem, DenseSolution

__all__ = ["RoundToNearest"]


@dataclass(frozen=True)
class RoundToNearest:
    """Rounds each weight by itself; the scales minimise the energy-weighted square error.

    A scale of an output may be negative: two's complement has one more step below zero than above,
    and the sign decides which end of the weights gets it.

    Parameters
    ----------
    steps : int
        Clip ratios tried for either sign; wide integers, which gain little from clipping, try a
        third of them.
    refinements : int
        Rounds of fitting the scale to the integers and rounding again.
    """

    steps: int = 18
    refinements: int = 2

    name = "round to nearest"
    needs_moments = False

    def solve(self, problem: DenseProblem) -> DenseSolution:
        """Search scales, round, and stretch the scales that would let an accumulator overflow."""
        scales = Scales.search(problem, steps=self.steps, refinements=self.refinements)

        def round_to(steps: torch.Tensor) -> torch.Tensor:
            return problem.grid.nearest_(problem.weight / steps).to(torch.int16)

        return within_limit(problem, scales, round_to)
