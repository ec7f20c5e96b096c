"""A layer's chosen dense summand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from summand.summands.base import Entry
from summand.summands.choosing import SummandChoice
from summand.summands.dense.disk import DenseEntry
from summand.summands.grid import Grid

__all__ = ["DenseChoice"]


@dataclass(frozen=True, kw_only=True)
class DenseChoice(SummandChoice):
    """A layer's chosen dense summand.

    Parameters
    ----------
    bits, group, scale_bits, half_step
        As in :class:`~summand.summands.dense.disk.DenseEntry`.
    solver : str
        One of :data:`~summand.summands.dense.solve.named.DENSE_SOLVERS`.
    """

    bits: int
    group: int = 0
    scale_bits: int = 0
    half_step: bool = False
    solver: str = "gptq"

    @property
    def grid(self) -> Grid:
        """The integers that weights may become."""
        return Grid(self.bits, self.half_step)

    @classmethod
    def of(cls, options: Any, *, head: bool, before: Sequence[Entry]) -> "DenseChoice | None":
        """Return what :class:`~summand.summands.dense.options.DenseOptions` mean for a layer."""
        bits = options.head_bits if head else options.bits
        if not bits:
            return None
        return cls(
            bits=bits,
            group=options.group,
            scale_bits=options.scale_bits if options.group else 0,
            half_step=options.half_step,
            solver=options.solver,
        )

    def entry(self) -> DenseEntry:
        """Return the summand's sizes."""
        return DenseEntry(
            bits=self.bits,
            group=self.group,
            scale_bits=self.scale_bits,
            half_step=self.half_step,
        )

    def reserved(self) -> int:
        """Return 0: a dense summand is the first of all, and gets what the others leave."""
        return 0

    def check(self, in_features: int, out_features: int) -> None:
        """Do nothing: layers of all sizes can have one."""
