"""Solvers by the names that users give them."""

from collections.abc import Callable, Mapping

from summand.compress.solve.gptq import Gptq
from summand.compress.solve.lowrank import Iterative, PlainSvd, WhitenedSvd
from summand.compress.solve.rtn import RoundToNearest
from summand.compress.solve.solvers import DenseSolver, LowRankSolver

__all__ = ["DENSE_SOLVERS", "LOW_RANK_SOLVERS"]

#: Dense solvers.
DENSE_SOLVERS: Mapping[str, Callable[[], DenseSolver]] = {"rtn": RoundToNearest, "gptq": Gptq}

#: Low-rank solvers.
LOW_RANK_SOLVERS: Mapping[str, LowRankSolver] = {
    "svd": PlainSvd(),
    "whitened": WhitenedSvd(),
    "iterative": Iterative(),
    "iterative-plain": Iterative(whitened=False),
}
