"""A kind of summand that the package does not know, whole in this file: ``x`` times a diagonal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from summand.isa import limits
from summand.isa.limits import Limits
from summand.schedule.terms import Direct
from summand.summands.base import Bounds, Entry, Kind, Operand, Summand, Tensors
from summand.summands.errors import LayerError
from summand.summands.packing import pack

__all__ = ["SCALED_IDENTITY", "ScaledIdentity"]


@dataclass(frozen=True, eq=False)
class ScaledIdentity(Summand):
    """Adds each input feature, times a factor of its own, to the output feature of its number.

    Parameters
    ----------
    factors : int8 array, shape ``[K]``
        Two's complement of ``bits``.
    bits : int
        1 to 8.
    """

    factors: npt.NDArray[np.int8]
    bits: int
    acc_shift: int = 0

    def __post_init__(self):
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        if self.factors.min() < low or self.factors.max() > high:
            raise LayerError(f"factors must be {low} to {high} to fit bits {self.bits}")

    @property
    def shape(self) -> tuple[int, int]:
        """As many outputs as inputs."""
        return len(self.factors), len(self.factors)

    def accumulate(self, x: npt.NDArray[np.int64], act_bits: int) -> npt.NDArray[np.int64]:
        """Return ``x * factors``."""
        return x * self.factors.astype(np.int64)

    def bounds(self, act_bits: int) -> Bounds:
        """Return the factors' magnitudes, activations at their largest."""
        return Bounds(np.abs(self.factors.astype(np.int64)) << (act_bits - 1))

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return the diagonal matrix."""
        return np.diag(self.factors.astype(np.float64))


@dataclass(frozen=True, kw_only=True)
class ScaledIdentityEntry(Entry):
    """Its sizes: bits of a factor. On disk the diagonal alone is kept."""

    bits: int

    ranges: ClassVar[Mapping[str, Limits]] = {"bits": limits.PLANES}

    @classmethod
    def of(cls, summand: ScaledIdentity) -> "ScaledIdentityEntry":
        """Return a summand's."""
        return cls(bits=summand.bits, acc_shift=summand.acc_shift)

    @staticmethod
    def tensors(summand: ScaledIdentity) -> Mapping[str, npt.NDArray[Any]]:
        """Return the packed ``factors``."""
        return {"factors": pack(summand.factors, summand.bits)}

    def read(self, tensors: Tensors, in_features: int, out_features: int) -> ScaledIdentity:
        """Make the summand from its tensors."""
        factors = tensors.packed("factors", self.bits, (1, in_features))
        return ScaledIdentity(factors[0], self.bits, acc_shift=self.acc_shift)

    def term(self) -> Direct:
        """Return it as the planner sees it: a matrix, most of which is zero."""
        return Direct(planes=self.bits, shift=self.acc_shift)

    def label(self) -> str:
        """Return it in a few words."""
        return f"identity {self.bits} bits"


def _operand(summand: ScaledIdentity) -> Operand:
    return Operand(np.diag(summand.factors), summand.bits)


def _twin(summand: ScaledIdentity, act_bits: int) -> Any:
    from summand.summands.twins import DirectTwin

    return DirectTwin(_operand(summand), act_bits)


SCALED_IDENTITY = Kind(
    name="scaled_identity",
    summand=ScaledIdentity,
    entry=ScaledIdentityEntry,
    operands=_operand,
    twin=_twin,
)
