"""Low-rank solvers by the names that users give them."""

from collections.abc import Callable, Mapping

from summand.summands.lowrank.solve.iterative import Iterative
from summand.summands.lowrank.solve.problem import LowRankSolver
from summand.summands.lowrank.solve.svd import PlainSvd, WhitenedSvd

__all__ = ["LOW_RANK_SOLVERS"]

#: As in :attr:`~summand.summands.lowrank.options.LowRankOptions.rank_solver`.
LOW_RANK_SOLVERS: Mapping[str, Callable[[], LowRankSolver]] = {
    "svd": PlainSvd,
    "whitened": WhitenedSvd,
    "iterative": Iterative,
    "iterative-plain": lambda: Iterative(whitened=False),
}
