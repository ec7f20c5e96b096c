"""Outliers: a sparse matrix of few, wide integers beside a dense one, as in SDQ (2406.13868)."""

from typing import TYPE_CHECKING

from summand.summands.kind import Kind
from summand.summands.outliers.choice import OutliersChoice
from summand.summands.outliers.disk import OutliersEntry
from summand.summands.outliers.options import OutliersOptions
from summand.summands.outliers.space import OutliersSpace
from summand.summands.outliers.term import Outliers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from summand.summands.estimating import Trial
    from summand.summands.outliers.estimate import OutliersEstimator
    from summand.summands.outliers.solve.method import OutliersMethod
    from summand.summands.twins import DirectTwin

__all__ = [
    "OUTLIERS",
    "Outliers",
    "OutliersChoice",
    "OutliersEntry",
    "OutliersOptions",
    "OutliersSpace",
]


def _twin(summand: Outliers, act_bits: int, lift: "npt.NDArray[np.int64] | None") -> "DirectTwin":
    from summand.summands.twins import DirectTwin

    return DirectTwin(summand.operand(), act_bits, lift)


def _method(choice: OutliersChoice, solver: None) -> "OutliersMethod":
    from summand.summands.outliers.solve.method import OutliersMethod

    return OutliersMethod(choice)


def _estimator(trial: "Trial") -> "OutliersEstimator":
    from summand.summands.outliers.estimate import OutliersEstimator

    return OutliersEstimator(trial)


OUTLIERS = Kind(
    name="outliers",
    summand=Outliers,
    entry=OutliersEntry,
    operands=Outliers.operand,
    twin=_twin,
    choice=OutliersChoice,
    method=_method,
    space=OutliersSpace,
    estimator=_estimator,
)
