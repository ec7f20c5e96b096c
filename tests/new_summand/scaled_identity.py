"""A kind of summand that the package does not know: ``x`` times a diagonal."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig, limits
from summand.isa.limits import Limits
from summand.options.declaration import Option, OptionSet
from summand.schedule.terms import Direct
from summand.summands.base import Bounds, Entry, Operand, Summand, Tensors
from summand.summands.choosing import SummandChoice, SummandSpace
from summand.summands.errors import LayerError, SolveError
from summand.summands.kind import Kind
from summand.summands.packing import pack

if TYPE_CHECKING:
    from summand.summands.estimating import Estimator, Trial
    from summand.summands.solving import Method

__all__ = ["SCALED_IDENTITY", "IdentityChoice", "IdentityOptions", "ScaledIdentity"]


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


@dataclass(frozen=True, kw_only=True)
class IdentityOptions(OptionSet):
    """What the user chooses of it."""

    identity_bits: Annotated[
        int, Option("Bits of the identity's factors", limits=limits.PLANES, zero="none")
    ] = 0


@dataclass(frozen=True, kw_only=True)
class IdentityChoice(SummandChoice):
    """What a layer gets of it: behind others, whose unit it takes."""

    bits: int
    acc_shift: int = 0

    @classmethod
    def of(cls, options: Any, *, head: bool, before: Sequence[Entry]) -> "IdentityChoice | None":
        """Return what options mean, if they have any of this kind."""
        bits = getattr(options, "identity_bits", 0)
        if head or not bits or not before:
            return None
        return cls(bits=bits, acc_shift=options.acc_shift)

    def entry(self) -> ScaledIdentityEntry:
        """Return its sizes."""
        return ScaledIdentityEntry(bits=self.bits, acc_shift=self.acc_shift)

    def reserved(self) -> int:
        """Return the largest magnitude of a factor."""
        return 1 << (self.bits - 1)

    def check(self, in_features: int, out_features: int) -> None:
        """Refuse layers that are not square."""
        if in_features != out_features:
            raise SolveError(f"an identity has {in_features} outputs, not {out_features}")


@dataclass(frozen=True)
class IdentitySpace(SummandSpace):
    """With it or without."""

    bits: tuple[int, ...] = (0, 6)

    varied = ("identity_bits",)

    @classmethod
    def of(
        cls, options: Any, fixed: Collection[str], engine: EngineConfig | None
    ) -> "IdentitySpace":
        """Return both, unless it is fixed."""
        return cls((options.identity_bits,)) if "identity_bits" in fixed else cls()

    @classmethod
    def check(cls, options: Any, fixed: Collection[str], engine: EngineConfig) -> None:
        """Do nothing: every engine adds it."""

    def variants(
        self, in_features: int, out_features: int, *, head: bool
    ) -> Iterator[Mapping[str, int]]:
        """Yield widths."""
        for bits in self.bits if in_features == out_features else (0,):
            yield {"identity_bits": bits}


def _method(choice: IdentityChoice, solver: None) -> "Method":
    from .identity_solving import IdentityMethod

    return IdentityMethod(choice)


def _estimator(trial: "Trial") -> "Estimator":
    from .identity_solving import IdentityEstimator

    return IdentityEstimator(trial)


SCALED_IDENTITY = Kind(
    name="scaled_identity",
    summand=ScaledIdentity,
    entry=ScaledIdentityEntry,
    operands=_operand,
    twin=_twin,
    choice=IdentityChoice,
    method=_method,
    space=IdentitySpace,
    estimator=_estimator,
)
