"""Dense summands: a low-bit matrix, with group scales if asked."""

from typing import TYPE_CHECKING

from summand.summands.dense.choice import DenseChoice
from summand.summands.dense.disk import DenseEntry
from summand.summands.dense.options import DenseOptions
from summand.summands.dense.space import DenseSpace
from summand.summands.dense.term import Dense
from summand.summands.kind import Kind

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from summand.summands.dense.estimate import DenseEstimator
    from summand.summands.dense.solve.method import DenseMethod
    from summand.summands.dense.solve.problem import DenseSolver
    from summand.summands.estimating import Trial
    from summand.summands.twins import DirectTwin

__all__ = ["DENSE", "Dense", "DenseChoice", "DenseEntry", "DenseOptions", "DenseSpace"]


def _twin(summand: Dense, act_bits: int, lift: "npt.NDArray[np.int64] | None") -> "DirectTwin":
    from summand.summands.twins import DirectTwin

    return DirectTwin(summand.operand(), act_bits, lift)


def _method(choice: DenseChoice, solver: "DenseSolver | None") -> "DenseMethod":
    from summand.summands.dense.solve.method import DenseMethod
    from summand.summands.dense.solve.named import DENSE_SOLVERS

    return DenseMethod(choice, solver or DENSE_SOLVERS[choice.solver]())


def _estimator(trial: "Trial") -> "DenseEstimator":
    from summand.summands.dense.estimate import DenseEstimator

    return DenseEstimator(trial)


DENSE = Kind(
    name="dense",
    summand=Dense,
    entry=DenseEntry,
    operands=Dense.operand,
    twin=_twin,
    choice=DenseChoice,
    method=_method,
    space=DenseSpace,
    estimator=_estimator,
)
