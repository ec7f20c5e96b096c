"""Two thin matrices of low-bit integers with a requantisation between them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.isa import limits
from summand.summands.base import Bounds, Summand
from summand.summands.errors import LayerError
from summand.summands.integers import check_matrix, magnitudes, requantise

__all__ = ["LowRank"]


@dataclass(frozen=True, eq=False)
class LowRank(Summand):
    """The low-rank summand: two factors and the requantisation between them.

    Parameters
    ----------
    a : int8 array, shape ``[K, R]``
        First factor, two's complement of ``a_bits``.
    a_bits : int
        1 to 8.
    b : int8 array, shape ``[R, N]``
        Second factor, two's complement of ``b_bits``. Its unit is the layer's accumulator.
    b_bits : int
        1 to 8.
    mult : uint16 array, shape ``[R]``
        Multiplier of the intermediate.
    shift : uint8 array, shape ``[R]``
        Its right shift, 1 to 47.
    acc_shift : int
        As in :class:`~summand.summands.base.Summand`.
    """

    a: npt.NDArray[np.int8]
    a_bits: int
    b: npt.NDArray[np.int8]
    b_bits: int
    mult: npt.NDArray[np.uint16]
    shift: npt.NDArray[np.uint8]
    acc_shift: int = 0

    def __post_init__(self):
        check_matrix("low-rank factor a", self.a, self.a_bits, "a_bits")
        check_matrix("low-rank factor b", self.b, self.b_bits, "b_bits")
        rank = self.a.shape[1]
        if rank < 1 or self.b.shape[0] != rank:
            raise LayerError(
                f"low-rank factors must share a rank of at least 1, "
                f"not a {self.a.shape} and b {self.b.shape}"
            )
        for name, dtype in (("mult", np.uint16), ("shift", np.uint8)):
            value = getattr(self, name)
            if value.dtype != dtype or value.shape != (rank,):
                raise LayerError(
                    f"{name} must be {np.dtype(dtype)} of shape ({rank},), "
                    f"not {value.dtype} of shape {value.shape}"
                )
        low, high = int(self.shift.min()), int(self.shift.max())
        if low not in limits.SHIFT or high not in limits.SHIFT:
            raise LayerError(f"shift must be {limits.SHIFT}, not {low} to {high}")

    @property
    def rank(self) -> int:
        """Columns of ``a``."""
        return self.a.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        """Input and output features, K and N."""
        return self.a.shape[0], self.b.shape[1]

    def accumulate(self, x: npt.NDArray[np.int64], act_bits: int) -> npt.NDArray[np.int64]:
        """Return ``requantise(x @ a) @ b``, ``[M, N]``."""
        t = requantise(x @ self.a.astype(np.int64), self.mult, self.shift, act_bits)
        return t @ self.b.astype(np.int64)

    def bounds(self, act_bits: int, lift: npt.NDArray[np.int64] | None = None) -> Bounds:
        """Return the sums of magnitudes, activations and intermediates at their largest."""
        inside = int(magnitudes(self.a, lift).max()) << (act_bits - 1)
        return Bounds(magnitudes(self.b) << (act_bits - 1), inside)

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return ``a * (mult / 2**shift) @ b``, rounding of the intermediate aside."""
        ratio = np.ldexp(self.mult.astype(np.float64), -self.shift.astype(np.int64))
        return (self.a * ratio) @ self.b.astype(np.float64)
