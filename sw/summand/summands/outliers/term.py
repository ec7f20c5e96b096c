"""A sparse matrix of few, wide integers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.isa.patterns import SparsePattern
from summand.summands.base import Bounds, Operand, Summand
from summand.summands.errors import LayerError
from summand.summands.integers import check_matrix, magnitudes
from summand.summands.patterns import kept_and_block
from summand.summands.sparse import check_sparse

__all__ = ["Outliers"]


@dataclass(frozen=True, eq=False)
class Outliers(Summand):
    """The few weights of each block that a narrow summand before it cannot hold.

    Its unit is the accumulator's, as the summand before it leaves it.

    Parameters
    ----------
    weights : int8 array, shape ``[K, N]``
        Two's complement of ``bits``.
    bits : int
        1 to 8: the bit-planes that are streamed.
    pattern : SparsePattern
        How many weights may be other than 0.
    acc_shift : int
        0.
    """

    weights: npt.NDArray[np.int8]
    bits: int
    pattern: SparsePattern
    acc_shift: int = 0

    def __post_init__(self):
        check_matrix("outliers", self.weights, self.bits, "bits")
        check_sparse("outliers", self.weights, self.pattern)
        if self.acc_shift:
            raise LayerError(f"outliers must have acc_shift 0, not {self.acc_shift}")

    @property
    def shape(self) -> tuple[int, int]:
        """Input and output features, K and N."""
        k, n = self.weights.shape
        return k, n

    def operand(self) -> Operand:
        """Return the matrix as an engine multiplies by it."""
        kept, block = kept_and_block(self.pattern)
        return Operand(self.weights, self.bits, kept=kept, block=block)

    def accumulate(self, x: npt.NDArray[np.int64], act_bits: int) -> npt.NDArray[np.int64]:
        """Return ``x @ weights``, ``[M, N]``."""
        return x @ self.weights.astype(np.int64)

    def bounds(self, act_bits: int, lift: npt.NDArray[np.int64] | None = None) -> Bounds:
        """Return the sums of magnitudes, activations at ``-2**(act_bits - 1)``."""
        return Bounds(magnitudes(self.weights, lift) << (act_bits - 1))

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return the weights, ``[K, N]``."""
        return self.weights.astype(np.float64)
