"""A dense matrix of low-bit integers, with an integer scale a group of input features if asked."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.isa import limits
from summand.isa.patterns import SparsePattern
from summand.summands.base import Bounds, Operand, Summand
from summand.summands.errors import LayerError
from summand.summands.integers import check_matrix, magnitudes
from summand.summands.patterns import kept_and_block
from summand.summands.sparse import check_sparse

__all__ = ["Dense"]


@dataclass(frozen=True, eq=False)
class Dense(Summand):
    """The dense summand.

    Parameters
    ----------
    weights : int8 array, shape ``[K, N]``
        Two's complement of ``bits``: what the planes hold.
    bits : int
        1 to 8: the bit-planes that are streamed.
    scales : uint8 array, shape ``[ceil(K / group), N]``, optional
        What each group of input features is multiplied by, 0 to ``2**scale_bits - 1``.
    scale_bits : int
        1 to 8 with scales, else 0.
    group : int
        Input features that share scales, the last group's perhaps fewer; 0 without scales.
    acc_shift : int
        As in :class:`~summand.summands.base.Summand`.
    half_step : bool
        Whether a weight is ``2 * q + 1``, with ``q`` what the planes hold.
    pattern : SparsePattern, optional
        How many weights may be other than 0; without it, all.
    """

    weights: npt.NDArray[np.int8]
    bits: int
    scales: npt.NDArray[np.uint8] | None = None
    scale_bits: int = 0
    group: int = 0
    acc_shift: int = 0
    half_step: bool = False
    pattern: SparsePattern | None = None

    def __post_init__(self):
        check_matrix("dense weights", self.weights, self.bits, "bits")
        if self.pattern is not None:
            if self.half_step:
                raise LayerError(
                    f"half_step must be false with pattern {self.pattern}: no half-step weight is 0"
                )
            check_sparse("dense weights", self.weights, self.pattern)
        if self.scales is None:
            if self.scale_bits or self.group:
                raise LayerError(
                    f"scale_bits and group must be 0 without scales, "
                    f"not {self.scale_bits} and {self.group}"
                )
            return
        k, n = self.weights.shape
        if self.scale_bits not in limits.SCALE_BITS:
            raise LayerError(
                f"scale_bits must be {limits.SCALE_BITS} with scales, not {self.scale_bits}"
            )
        if self.group < 1:
            raise LayerError(f"group must be at least 1 with scales, not {self.group}")
        shape = (-(-k // self.group), n)
        if self.scales.dtype != np.uint8 or self.scales.shape != shape:
            raise LayerError(
                f"scales must be uint8 of shape {shape}, "
                f"not {self.scales.dtype} of shape {self.scales.shape}"
            )
        if self.scales.max() >> self.scale_bits:
            raise LayerError(
                f"scales must be at most {(1 << self.scale_bits) - 1} to fit scale_bits "
                f"{self.scale_bits}, not {self.scales.max()}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Input and output features, K and N."""
        k, n = self.weights.shape
        return k, n

    def operand(self) -> Operand:
        """Return the matrix as an engine multiplies by it."""
        return Operand(
            self.weights,
            self.bits,
            self.scales,
            self.group,
            self.half_step,
            *kept_and_block(self.pattern),
        )

    def integers(self) -> npt.NDArray[np.int32]:
        """Return weights times scales, ``[K, N]``."""
        return self.operand().integers()

    def accumulate(self, x: npt.NDArray[np.int64], act_bits: int) -> npt.NDArray[np.int64]:
        """Return ``x @ (weights * scales)``, ``[M, N]``."""
        return x @ self.integers().astype(np.int64)

    def bounds(self, act_bits: int, lift: npt.NDArray[np.int64] | None = None) -> Bounds:
        """Return the sums of magnitudes, activations at ``-2**(act_bits - 1)``."""
        return Bounds(magnitudes(self.integers(), lift) << (act_bits - 1))

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return weights times scales, ``[K, N]``."""
        return self.integers().astype(np.float64)
