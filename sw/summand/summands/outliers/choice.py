"""A layer's chosen outliers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.isa.patterns import SparsePattern
from summand.summands.base import Entry
from summand.summands.choosing import SummandChoice
from summand.summands.outliers.disk import OutliersEntry
from summand.summands.patterns import check_blocks, kept_and_block, parse_pattern

__all__ = ["OutliersChoice"]


@dataclass(frozen=True, kw_only=True)
class OutliersChoice(SummandChoice):
    """A layer's chosen outliers.

    Parameters
    ----------
    bits : int
        Of an outlier, 1 to 8.
    pattern : SparsePattern
        How many there are in each block.
    score : str
        What they have most of, one of :data:`~summand.summands.patterns.SCORES`.
    """

    bits: int
    pattern: SparsePattern
    score: str = "sparsegpt"

    @classmethod
    def of(cls, options: Any, *, head: bool, before: Sequence[Entry]) -> "OutliersChoice | None":
        """Return what :class:`~summand.summands.outliers.options.OutliersOptions` mean for a layer.

        There are none in the head, and none without a summand before them, whose unit they take.
        """
        pattern = parse_pattern(options.outliers)
        if head or pattern is None or not before:
            return None
        return cls(bits=options.outlier_bits, pattern=pattern, score=options.sparsity_score)

    def entry(self) -> OutliersEntry:
        """Return the summand's sizes."""
        kept, block = kept_and_block(self.pattern)
        return OutliersEntry(bits=self.bits, kept=kept, block=block)

    def reserved(self, lift: npt.NDArray[np.int64]) -> int:
        """Return what the outliers of an output add up to at most."""
        blocks = np.sort(lift.reshape(-1, self.pattern.block), axis=1)
        return int(blocks[:, -self.pattern.kept :].sum()) << (self.bits - 1)

    def check(self, in_features: int, out_features: int) -> None:
        """Raise :class:`SolveError` if the inputs are no whole blocks of the pattern."""
        check_blocks("outliers", self.pattern, in_features)
