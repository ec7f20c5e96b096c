"""Round to nearest, with scales that are searched for."""

from dataclasses import dataclass, replace

import torch

from summand.summands.dense.solve.grouping import Rounded, Scales, within_limit
from summand.summands.dense.solve.problem import DenseProblem, DenseSolution
from summand.summands.pruning import best_of_blocks, saliency

__all__ = ["RoundToNearest"]


@dataclass(frozen=True)
class RoundToNearest:
    """Rounds each weight by itself; the scales minimise the energy-weighted square error.

    A scale of an output may be negative: two's complement has one more step below zero than above,
    and the sign decides which end of the weights gets it. With a pattern the weights of least score
    become 0 before anything else.

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
        kept = None
        if problem.pattern is not None:
            scores = saliency(problem.score, problem.weight, problem.energy)
            kept = best_of_blocks(scores, problem.pattern)
            problem = replace(problem, weight=problem.weight * kept)
        scales = Scales.search(problem, steps=self.steps, refinements=self.refinements)

        def round_to(steps: torch.Tensor) -> Rounded:
            q = problem.grid.nearest_(problem.weight / steps)
            if kept is not None:
                q.mul_(kept)
            return Rounded(q.to(torch.int16), kept)

        return within_limit(problem, scales, round_to)
