"""Solvers of the dense summand, one a module."""

from summand.summands.dense.solve.gptq import Gptq
from summand.summands.dense.solve.rtn import RoundToNearest

__all__ = ["Gptq", "RoundToNearest"]
