"""A layer's chosen low-rank summand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.schedule.terms import Direct
from summand.summands.base import Entry
from summand.summands.choosing import SummandChoice
from summand.summands.errors import SolveError
from summand.summands.lowrank.disk import LowRankEntry

__all__ = ["LowRankChoice"]


@dataclass(frozen=True, kw_only=True)
class LowRankChoice(SummandChoice):
    """A layer's chosen low-rank summand.

    Parameters
    ----------
    rank : int
        At least 1.
    bits : int
        Of both factors, 1 to 8.
    acc_shift : int
        As in :class:`~summand.summands.base.Summand`.
    solver : str
        One of :data:`~summand.summands.lowrank.solve.named.LOW_RANK_SOLVERS`.
    order : str
        One of :data:`~summand.summands.lowrank.options.ORDERS`.
    """

    rank: int
    bits: int
    acc_shift: int = 0
    solver: str = "whitened"
    order: str = "after"

    @classmethod
    def of(cls, options: Any, *, head: bool, before: Sequence[Entry]) -> "LowRankChoice | None":
        """Return what :class:`~summand.summands.lowrank.options.LowRankOptions` mean for a layer.

        The head gets none. Accumulators are shifted where the summands before it have neither
        group scales nor a shift, because both make the unit fine enough.
        """
        if head or not options.rank:
            return None
        terms = [entry.term() for entry in before]
        fine = any(term.shift or (isinstance(term, Direct) and term.group) for term in terms)
        return cls(
            rank=options.rank,
            bits=options.rank_bits,
            acc_shift=options.acc_shift if terms and not fine else 0,
            solver=options.rank_solver,
            order=options.rank_order,
        )

    def entry(self) -> LowRankEntry:
        """Return the summand's sizes."""
        return LowRankEntry(
            rank=self.rank, a_bits=self.bits, b_bits=self.bits, acc_shift=self.acc_shift
        )

    def reserved(self, lift: npt.NDArray[np.int64]) -> int:
        """Return what a column of the second factor adds up to at most."""
        return self.rank << (self.bits - 1)

    def check(self, in_features: int, out_features: int) -> None:
        """Raise :class:`SolveError` if the rank is above the matrix's."""
        if self.rank > min(in_features, out_features):
            raise SolveError(
                f"rank must be at most {min(in_features, out_features)}, not {self.rank}"
            )
