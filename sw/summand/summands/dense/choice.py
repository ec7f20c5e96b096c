"""A layer's chosen dense summand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from summand.isa.patterns import SparsePattern
from summand.summands.base import Entry
from summand.summands.choosing import SummandChoice
from summand.summands.dense.disk import DenseEntry
from summand.summands.patterns import check_blocks, kept_and_block, parse_pattern

if TYPE_CHECKING:
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
    pattern : SparsePattern, optional
        How many weights are kept; without it, all.
    score : str
        Which they are, one of :data:`~summand.summands.patterns.SCORES`.
    """

    bits: int
    group: int = 0
    scale_bits: int = 0
    half_step: bool = False
    solver: str = "gptq"
    pattern: SparsePattern | None = None
    score: str = "sparsegpt"

    @property
    def grid(self) -> "Grid":
        """The integers that weights may become."""
        from summand.summands.grid import Grid

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
            pattern=None if head else parse_pattern(options.sparsity),
            score=options.sparsity_score,
        )

    def entry(self) -> DenseEntry:
        """Return the summand's sizes."""
        kept, block = kept_and_block(self.pattern)
        return DenseEntry(
            bits=self.bits,
            group=self.group,
            scale_bits=self.scale_bits,
            half_step=self.half_step,
            kept=kept,
            block=block,
        )

    def reserved(self, lift: npt.NDArray[np.int64]) -> int:
        """Return 0: a dense summand is the first of all, and gets what the others leave."""
        return 0

    def check(self, in_features: int, out_features: int) -> None:
        """Raise :class:`SolveError` if the inputs are no whole blocks of the pattern."""
        check_blocks("sparsity", self.pattern, in_features)
