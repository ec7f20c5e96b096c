"""Dense solvers by the names that users give them."""

from collections.abc import Callable, Mapping

from summand.summands.dense.solve.gptq import Gptq
from summand.summands.dense.solve.problem import DenseSolver
from summand.summands.dense.solve.rtn import RoundToNearest

__all__ = ["DENSE_SOLVERS"]

#: As in :attr:`~summand.summands.dense.options.DenseOptions.solver`.
DENSE_SOLVERS: Mapping[str, Callable[[], DenseSolver]] = {"rtn": RoundToNearest, "gptq": Gptq}
