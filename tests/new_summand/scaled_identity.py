"""A kind of summand that the package does not know, whole: ``x`` times a diagonal.

A kind of the package keeps what needs torch in modules of its own, so that the command line starts
without it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from summand.isa import EngineConfig, limits
from summand.isa.limits import Limits
from summand.options.declaration import Option, OptionSet
from summand.schedule.terms import Direct
from summand.summands.base import Bounds, Entry, Operand, Summand, Tensors
from summand.summands.choosing import SummandChoice, SummandSpace
from summand.summands.errors import LayerError, SolveError
from summand.summands.estimating import Estimate, Estimator, Trial
from summand.summands.kind import Kind
from summand.summands.packing import pack
from summand.summands.solving import Method, Part, Task
from summand.summands.twins import DirectTwin

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

    def bounds(self, act_bits: int, lift: npt.NDArray[np.int64] | None = None) -> Bounds:
        """Return the factors' magnitudes, activations at their largest."""
        sizes = np.abs(self.factors.astype(np.int64)) << (act_bits - 1)
        return Bounds(sizes if lift is None else sizes * lift)

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

    def reserved(self, lift: npt.NDArray[np.int64]) -> int:
        """Return the largest magnitude of a factor."""
        return int(lift.max()) << (self.bits - 1)

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


class IdentityMethod(Method):
    """Rounds the diagonal of what is left, in the unit of the summands before it."""

    def __init__(self, choice: IdentityChoice):
        self._choice = choice

    @property
    def needs_moments(self) -> bool:
        """It looks at the weight alone."""
        return False

    def solve(self, task: Task) -> Part:
        """Return the factors nearest to the diagonal."""
        if task.unit is None:
            raise SolveError("an identity takes the unit of the summands before it")
        bits, shift = self._choice.bits, self._choice.acc_shift
        unit = task.unit * 2.0**-shift
        high = min((1 << (bits - 1)) - 1, task.limit)
        factors = (task.weight.diagonal() / unit).round().clamp(-high, high)
        summand = ScaledIdentity(factors.numpy().astype(np.int8), bits, acc_shift=shift)
        return Part(summand, unit, lambda: torch.diag(factors * unit))


class IdentityEstimator(Estimator):
    """Takes away the diagonal's share of what is left."""

    def __init__(self, trial: Trial):
        self._trial = trial

    def add(self, choice: IdentityChoice, before: Estimate | None) -> Estimate:
        """Return the loss without the diagonal."""
        assert before is not None
        every = [lost.square() for lost in before.lost()]
        share = torch.stack([lost.diagonal().sum() / lost.sum() for lost in every])
        return Estimate(before.loss * (1 - share), before.lost)


def _twin(summand: ScaledIdentity, act_bits: int, lift: npt.NDArray[np.int64] | None) -> DirectTwin:
    return DirectTwin(_operand(summand), act_bits, lift)


def _method(choice: IdentityChoice, solver: None) -> IdentityMethod:
    return IdentityMethod(choice)


SCALED_IDENTITY = Kind(
    name="scaled_identity",
    summand=ScaledIdentity,
    entry=ScaledIdentityEntry,
    operands=_operand,
    twin=_twin,
    choice=IdentityChoice,
    method=_method,
    space=IdentitySpace,
    estimator=IdentityEstimator,
)
