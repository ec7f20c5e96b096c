"""Low-rank summands: two quantised factors, as in ITERA-LLM (arXiv 2505.08981)."""

from typing import TYPE_CHECKING

from summand.summands.kind import Kind
from summand.summands.lowrank.choice import LowRankChoice
from summand.summands.lowrank.disk import LowRankEntry
from summand.summands.lowrank.options import LowRankOptions
from summand.summands.lowrank.space import LowRankSpace
from summand.summands.lowrank.stream import factors
from summand.summands.lowrank.term import LowRank

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from summand.summands.estimating import Trial
    from summand.summands.lowrank.estimate import LowRankEstimator
    from summand.summands.lowrank.solve.method import LowRankMethod
    from summand.summands.lowrank.solve.problem import LowRankSolver
    from summand.summands.lowrank.torch import LowRankTwin

__all__ = [
    "LOW_RANK",
    "LowRank",
    "LowRankChoice",
    "LowRankEntry",
    "LowRankOptions",
    "LowRankSpace",
]


def _twin(summand: LowRank, act_bits: int, lift: "npt.NDArray[np.int64] | None") -> "LowRankTwin":
    from summand.summands.lowrank.torch import LowRankTwin

    return LowRankTwin(summand, act_bits, lift)


def _method(choice: LowRankChoice, solver: "LowRankSolver | None") -> "LowRankMethod":
    from summand.summands.lowrank.solve.method import LowRankMethod
    from summand.summands.lowrank.solve.named import LOW_RANK_SOLVERS

    return LowRankMethod(choice, solver or LOW_RANK_SOLVERS[choice.solver]())


def _estimator(trial: "Trial") -> "LowRankEstimator":
    from summand.summands.lowrank.estimate import LowRankEstimator

    return LowRankEstimator(trial)


LOW_RANK = Kind(
    name="low_rank",
    summand=LowRank,
    entry=LowRankEntry,
    operands=factors,
    twin=_twin,
    choice=LowRankChoice,
    method=_method,
    space=LowRankSpace,
    estimator=_estimator,
)
