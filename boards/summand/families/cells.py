"""Cells of a synthesised design, by kind: which of a family's cells count as what."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CELL_KINDS", "CellCounts", "CellKind", "CellPatterns"]


@dataclass(frozen=True, kw_only=True)
class CellKind:
    """A kind of cell, of which an FPGA has a number.

    Parameters
    ----------
    name : str
        The attribute that counts it, of :class:`CellCounts`, of
        :class:`~summand.families.parts.FpgaPart` and of
        :class:`~summand.synth.model.Resources`.
    title : str
        As people know it, many of them.
    remedy : str
        What an engine that takes fewer of it has.
    """

    name: str
    title: str
    remedy: str


#: In the order in which they are reported.
CELL_KINDS = (
    CellKind(name="luts", title="look-up tables", remedy="fewer rows or cols, or less depth"),
    CellKind(name="ffs", title="flip-flops", remedy="fewer rows or cols"),
    CellKind(name="lut_rams", title="LUT RAMs", remedy="fewer rows or cols, or less depth"),
    CellKind(
        name="block_rams",
        title="block RAMs",
        remedy="less acc_depth or act_depth, or fewer rows",
    ),
    CellKind(name="dsps", title="multipliers", remedy="fewer rows"),
)


@dataclass(frozen=True, kw_only=True)
class CellCounts:
    """Cells of a synthesised design, by kind.

    Parameters
    ----------
    luts : int
        Look-up tables, those that carry chains and LUT RAM take included.
    ffs : int
        Flip-flops.
    lut_rams : int
        Memories made of look-up tables, in the family's own cells.
    block_rams : float
        Block memories; halves where the family halves them.
    dsps : int
        Multipliers; one that is half used is one.
    """

    luts: int
    ffs: int
    lut_rams: int
    block_rams: float
    dsps: int


@dataclass(frozen=True, kw_only=True)
class CellPatterns:
    """A family's cells as Yosys names them.

    Parameters
    ----------
    luts, ffs, lut_rams, block_rams, dsps : mapping of str to float
        Patterns of cell types, and what one such cell counts for.
    """

    luts: Mapping[str, float]
    ffs: Mapping[str, float]
    lut_rams: Mapping[str, float]
    block_rams: Mapping[str, float]
    dsps: Mapping[str, float]

    def count(self, cells: Mapping[str, int]) -> CellCounts:
        """Count a design's cells, given how many there are of each type."""
        return CellCounts(
            luts=round(_total(self.luts, cells)),
            ffs=round(_total(self.ffs, cells)),
            lut_rams=round(_total(self.lut_rams, cells)),
            block_rams=_total(self.block_rams, cells),
            dsps=math.ceil(_total(self.dsps, cells)),
        )


def _total(weights: Mapping[str, float], cells: Mapping[str, int]) -> float:
    return sum(
        weight * number
        for pattern, weight in weights.items()
        for cell, number in cells.items()
        if re.fullmatch(pattern, cell)
    )
