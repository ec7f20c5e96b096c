"""Low-rank factors from one singular value decomposition."""

from dataclasses import dataclass

from summand.summands.lowrank.solve.problem import LowRankProblem, LowRankSolution
from summand.summands.lowrank.solve.ranks import quantise_ranks, svd_basis
from summand.summands.lowrank.solve.weighting import Weighting

__all__ = ["PlainSvd", "WhitenedSvd"]


@dataclass(frozen=True)
class PlainSvd:
    """The singular vectors of the matrix, whatever the inputs look like, rounded one by one.

    The baseline: inputs count in the choice of the requantisation only.

    Parameters
    ----------
    feedback : bool
        Whether a rank's row of ``B`` makes up for what the ranks before it lost to rounding.
    """

    feedback: bool = False

    name = "plain SVD"

    def solve(self, problem: LowRankProblem) -> LowRankSolution:
        """Factorise, then quantise."""
        return _one_shot(problem, Weighting.plain(problem.target.shape[1]), self.feedback)


@dataclass(frozen=True)
class WhitenedSvd:
    """The best factors for the calibration text's outputs, rounded one by one.

    With ``H = mean(x^T x) = L L^T``, the error of an output is the norm of ``L^T (W - A B)``, so
    that the singular vectors of ``L^T W`` give the best factors (as in SVD-LLM, arXiv 2403.07378).

    Parameters
    ----------
    damping : float
        Added to the diagonal of ``H``, as a share of its mean: makes it invertible.
    feedback : bool
        Whether a rank's row of ``B`` makes up for what the ranks before it lost to rounding.
    """

    damping: float = 0.01
    feedback: bool = True

    name = "whitened SVD"

    def solve(self, problem: LowRankProblem) -> LowRankSolution:
        """Factorise, then quantise."""
        weighting = Weighting.of_inputs(problem.moments, self.damping)
        return _one_shot(problem, weighting, self.feedback)


def _one_shot(problem: LowRankProblem, weighting: Weighting, feedback: bool) -> LowRankSolution:
    basis = svd_basis(weighting.white(problem.target.T.double()))
    return quantise_ranks(problem, weighting, lambda ranks: basis[:, ranks.done], feedback=feedback)
