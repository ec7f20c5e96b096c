"""A low-rank summand in a manifest and in a file of tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from summand.isa import limits
from summand.isa.limits import Limits
from summand.schedule.terms import Factored
from summand.summands.base import Entry, Tensors
from summand.summands.lowrank.term import LowRank
from summand.summands.packing import pack

__all__ = ["LowRankEntry"]


@dataclass(frozen=True, kw_only=True)
class LowRankEntry(Entry):
    """A low-rank summand's sizes.

    Parameters
    ----------
    rank : int
        Columns of the first factor, at least 1.
    a_bits, b_bits : int
        Of the weights of both factors, 1 to 8.
    """

    rank: int
    a_bits: int
    b_bits: int

    ranges: ClassVar[Mapping[str, Limits]] = {
        "rank": Limits(1, 1 << 31),
        "a_bits": limits.PLANES,
        "b_bits": limits.PLANES,
    }

    @classmethod
    def of(cls, summand: LowRank) -> "LowRankEntry":
        """Return a summand's."""
        return cls(
            rank=summand.rank,
            a_bits=summand.a_bits,
            b_bits=summand.b_bits,
            acc_shift=summand.acc_shift,
        )

    @staticmethod
    def tensors(summand: LowRank) -> Mapping[str, npt.NDArray[Any]]:
        """Return packed factors ``a`` and ``b``, ``mult`` and ``shift``."""
        return {
            "a": pack(summand.a, summand.a_bits),
            "b": pack(summand.b, summand.b_bits),
            "mult": summand.mult,
            "shift": summand.shift,
        }

    def read(self, tensors: Tensors, in_features: int, out_features: int) -> LowRank:
        """Make the summand from its tensors; raises as :meth:`Entry.read` does."""
        return LowRank(
            a=tensors.packed("a", self.a_bits, (in_features, self.rank)),
            a_bits=self.a_bits,
            b=tensors.packed("b", self.b_bits, (self.rank, out_features)),
            b_bits=self.b_bits,
            mult=tensors.tensor("mult", "U16"),
            shift=tensors.tensor("shift", "U8"),
            acc_shift=self.acc_shift,
        )

    def term(self) -> Factored:
        """Return it as the planner sees it."""
        return Factored(rank=self.rank, first=self.a_bits, second=self.b_bits, shift=self.acc_shift)

    def label(self) -> str:
        """Return it in a few words, for tables."""
        widths = f"{self.a_bits}" if self.a_bits == self.b_bits else f"{self.a_bits}/{self.b_bits}"
        return f"rank {self.rank}, {widths} bits"
