"""Outliers in a manifest and in a file of tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from summand.isa import limits
from summand.isa.limits import Limits
from summand.isa.patterns import SparsePattern
from summand.schedule.terms import Direct, Runs
from summand.summands.base import Entry, Tensors
from summand.summands.empty import check_empty, check_runs, empty_runs
from summand.summands.errors import LayerError
from summand.summands.outliers.term import Outliers
from summand.summands.packing import packed_matrix, read_matrix
from summand.summands.patterns import kept_and_block, pattern_of

__all__ = ["OutliersEntry"]


@dataclass(frozen=True, kw_only=True)
class OutliersEntry(Entry):
    """The sizes of outliers.

    Parameters
    ----------
    bits : int
        Of a weight, 1 to 8.
    kept, block : int
        Of every ``block`` weights of an output at most ``kept`` are other than 0.
    empty : Runs
        Input features without any, as :func:`~summand.summands.empty.empty_runs` has them.
    """

    bits: int
    kept: int
    block: int
    empty: Runs = ()

    ranges: ClassVar[Mapping[str, Limits]] = {"bits": limits.PLANES, "acc_shift": Limits(0, 0)}

    def __post_init__(self):
        super().__post_init__()
        if pattern_of(self.kept, self.block) is None:
            raise LayerError("outliers must have kept and block, not 0")
        check_runs(self.empty)

    @property
    def pattern(self) -> SparsePattern:
        """How many weights may be other than 0."""
        return SparsePattern(kept=self.kept, block=self.block)

    @classmethod
    def of(cls, summand: Outliers) -> "OutliersEntry":
        """Return a summand's."""
        kept, block = kept_and_block(summand.pattern)
        return cls(
            bits=summand.bits,
            kept=kept,
            block=block,
            empty=empty_runs(summand.weights),
            acc_shift=summand.acc_shift,
        )

    @staticmethod
    def tensors(summand: Outliers) -> Mapping[str, npt.NDArray[Any]]:
        """Return packed ``weights`` and ``positions``."""
        return packed_matrix(summand.weights, summand.bits, summand.pattern)

    def read(self, tensors: Tensors, in_features: int, out_features: int) -> Outliers:
        """Make the summand from its tensors; raises as :meth:`Entry.read` does."""
        weights = read_matrix(tensors, self.bits, self.pattern, in_features, out_features)
        check_empty(self.empty, weights)
        return Outliers(weights, self.bits, self.pattern, self.acc_shift)

    def term(self) -> Direct:
        """Return it as the planner sees it."""
        return Direct(
            planes=self.bits,
            shift=self.acc_shift,
            kept=self.kept,
            block=self.block,
            empty=self.empty,
        )

    def label(self) -> str:
        """Return it in a few words, for tables."""
        return f"outliers {self.pattern}, {self.bits} bits"
