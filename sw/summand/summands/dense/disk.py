"""A dense summand in a manifest and in a file of tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from summand.isa import limits
from summand.isa.limits import Limits
from summand.schedule.terms import Direct, Runs
from summand.summands.base import Entry, Tensors
from summand.summands.dense.term import Dense
from summand.summands.empty import check_empty, check_runs, empty_runs
from summand.summands.errors import LayerError
from summand.summands.packing import packed_matrix, read_matrix
from summand.summands.patterns import kept_and_block, pattern_of

__all__ = ["DenseEntry"]


@dataclass(frozen=True, kw_only=True)
class DenseEntry(Entry):
    """A dense summand's sizes.

    Parameters
    ----------
    bits : int
        Of a weight, 1 to 8.
    group, scale_bits : int
        Input features that share scales, and bits of a scale; 0 without scales.
    half_step : bool
        Whether weights are ``2 * q + 1``, with ``q`` what is packed.
    kept, block : int
        Of every ``block`` weights of an output at most ``kept`` are other than 0; 0 where all may
        be.
    empty : Runs
        Input features whose weights are all 0, as :func:`~summand.summands.empty.empty_runs` has
        them; none with ``half_step``.
    """

    bits: int
    group: int = 0
    scale_bits: int = 0
    half_step: bool = False
    kept: int = 0
    block: int = 0
    empty: Runs = ()

    ranges: ClassVar[Mapping[str, Limits]] = {
        "bits": limits.PLANES,
        "group": Limits(0, 1 << 31),
        "scale_bits": Limits(0, limits.SCALE_BITS.high),
    }

    def __post_init__(self):
        super().__post_init__()
        if bool(self.group) != bool(self.scale_bits):
            raise LayerError(
                f"group and scale_bits must both be 0 or neither, "
                f"not {self.group} and {self.scale_bits}"
            )
        if pattern_of(self.kept, self.block) is not None and self.half_step:
            raise LayerError(
                f"half_step must be false with kept {self.kept} and block {self.block}: no "
                f"half-step weight is 0"
            )
        check_runs(self.empty)
        if self.empty and self.half_step:
            raise LayerError("empty must hold no runs with half_step: no half-step weight is 0")

    @classmethod
    def of(cls, summand: Dense) -> "DenseEntry":
        """Return a summand's."""
        kept, block = kept_and_block(summand.pattern)
        return cls(
            bits=summand.bits,
            group=summand.group,
            scale_bits=summand.scale_bits,
            half_step=summand.half_step,
            kept=kept,
            block=block,
            empty=() if summand.half_step else empty_runs(summand.weights),
            acc_shift=summand.acc_shift,
        )

    @staticmethod
    def tensors(summand: Dense) -> Mapping[str, npt.NDArray[Any]]:
        """Return packed ``weights``, and ``positions`` and ``scales`` if there are any."""
        tensors = packed_matrix(summand.weights, summand.bits, summand.pattern)
        if summand.scales is not None:
            tensors["scales"] = summand.scales
        return tensors

    def read(self, tensors: Tensors, in_features: int, out_features: int) -> Dense:
        """Make the summand from its tensors; raises as :meth:`Entry.read` does."""
        pattern = pattern_of(self.kept, self.block)
        weights = read_matrix(tensors, self.bits, pattern, in_features, out_features)
        if not self.half_step:
            check_empty(self.empty, weights)
        return Dense(
            weights,
            self.bits,
            scales=tensors.tensor("scales", "U8") if self.group else None,
            scale_bits=self.scale_bits,
            group=self.group,
            acc_shift=self.acc_shift,
            half_step=self.half_step,
            pattern=pattern,
        )

    def term(self) -> Direct:
        """Return it as the planner sees it."""
        return Direct(
            planes=self.bits,
            group=self.group,
            scale_bits=self.scale_bits,
            shift=self.acc_shift,
            half_step=self.half_step,
            kept=self.kept,
            block=self.block,
            empty=self.empty,
        )

    def label(self) -> str:
        """Return it in a few words, for tables."""
        groups = f", groups of {self.group} with {self.scale_bits}-bit scales"
        half = " half-step" if self.half_step else ""
        pattern = f" {self.kept}:{self.block}" if self.block else ""
        return f"dense {self.bits} bits{half}{pattern}{groups if self.group else ''}"
