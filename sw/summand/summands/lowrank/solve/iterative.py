"""ITERA's iterative decomposition: a rank at a time, from what the ranks before it left."""

from dataclasses import dataclass

import torch

from summand.summands.lowrank.solve.problem import LowRankProblem, LowRankSolution
from summand.summands.lowrank.solve.ranks import Ranks, leading, quantise_ranks, svd_basis
from summand.summands.lowrank.solve.weighting import Weighting

__all__ = ["Iterative"]


@dataclass(frozen=True)
class Iterative:
    """Rank-1 decompositions of what is left, each rounded before the next is found.

    ITERA-LLM (arXiv 2505.08981), algorithm 1: the quantisation error of every rank is part of what
    the next ones approximate, its new directions included. ITERA decomposes the matrix itself;
    whitened, the same is done for the outputs on the calibration text.

    Parameters
    ----------
    whitened : bool
        Whether errors count by what the inputs look like.
    damping : float
        Of the inputs' moments, as a share of their mean diagonal.
    """

    whitened: bool = True
    damping: float = 0.01

    @property
    def name(self) -> str:
        """For reports."""
        return "iterative, whitened" if self.whitened else "iterative"

    def solve(self, problem: LowRankProblem) -> LowRankSolution:
        """Decompose and quantise rank by rank."""
        if self.whitened:
            weighting = Weighting.of_inputs(problem.moments, self.damping)
        else:
            weighting = Weighting.plain(problem.target.shape[1])
        basis = svd_basis(weighting.white(problem.target.T.double()))
        return quantise_ranks(problem, weighting, _Leader(basis), feedback=True)


class _Leader:
    """Finds the leading direction of what is left, from guesses that contain most of it.

    These are the next singular vectors of the whole matrix; the last rank as it should have been
    and as it was rounded, between which its error lies; and the runners-up of the search before.
    """

    def __init__(self, basis: torch.Tensor):
        self._basis = basis
        self._before = basis[:, :0]

    def __call__(self, ranks: Ranks) -> torch.Tensor:
        done = ranks.done
        if not done:
            self._before = self._basis[:, :1]
            return self._basis[:, 0]
        rounded = ranks.factors[0][:, -1:]
        guesses = (self._basis[:, done : done + 2], self._before, rounded)
        found = leading(ranks, torch.cat(guesses, dim=1), rounds=3)
        self._before = found[:, :4]
        return found[:, 0]
