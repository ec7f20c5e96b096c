"""How many of a family's cells an engine's memory takes."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from summand.isa.memory import EngineMemory, MemoryKind
from summand.isa.rounding import ceil_div

__all__ = ["InferredMemories", "MemoryCells", "MemoryMap", "NamedMemories"]


#: Yosys's cost of choosing a bit among two cells that share it.
_CHOICE = 0.5


class MemoryCells(NamedTuple):
    """The cells of one memory: LUT RAMs, and block RAMs, which may be halves."""

    lut_rams: int
    block_rams: float


class MemoryMap(Protocol):
    """Says what a memory becomes on a family."""

    def cells(self, memory: EngineMemory) -> MemoryCells:
        """Return the cells of one of the memories that are equal."""
        ...


class NamedMemories:
    """Memories of a family whose primitives the Verilog names: each is of the kind that it says.

    Parameters
    ----------
    lut_bits : int
        Bits of a word of one LUT RAM, which has 16 words.
    block_shapes : sequence of (int, int)
        Bits of a word, and words, of one block RAM, the widest first.
    """

    def __init__(self, lut_bits: int, block_shapes: Sequence[tuple[int, int]]):
        self._lut_bits, self._block_shapes = lut_bits, tuple(block_shapes)

    def cells(self, memory: EngineMemory) -> MemoryCells:
        """Return the cells of one memory."""
        if memory.kind is MemoryKind.LUT:
            return MemoryCells(ceil_div(memory.width, self._lut_bits), 0)
        for width, depth in self._block_shapes:
            if memory.depth <= depth:
                return MemoryCells(0, ceil_div(memory.width, width))
        return MemoryCells(0, memory.width * ceil_div(memory.depth, self._block_shapes[-1][1]))


class InferredMemories:
    """Memories that Yosys infers, of the cells that it counts as the cheapest.

    Parameters
    ----------
    lut_shapes : sequence of (int, int, int)
        Words and bits of a word of one LUT RAM with a port to write and one to read, and as how
        many of the family's LUT RAMs it counts.
    lut_cost : int
        Yosys's cost of one.
    block_shapes : sequence of (float, int, tuple of (int, int))
        Of each size of block RAM: how much of a block it is, Yosys's cost, and its bits of a word
        and words, the widest first.
    """

    def __init__(
        self,
        lut_shapes: Sequence[tuple[int, int, int]],
        lut_cost: int,
        block_shapes: Sequence[tuple[float, int, tuple[tuple[int, int], ...]]],
    ):
        self._lut_shapes, self._lut_cost = tuple(lut_shapes), lut_cost
        self._block_shapes = tuple(block_shapes)

    def cells(self, memory: EngineMemory) -> MemoryCells:
        """Return the cells of one memory."""
        found: list[tuple[float, MemoryCells]] = []
        for words, bits, count in self._lut_shapes:
            rows = ceil_div(memory.depth, words)
            cells = MemoryCells(rows * ceil_div(memory.width, bits) * count, 0)
            whole = rows * memory.width / bits  # part of a cell costs as much of it
            choosing = (rows - 1) * memory.width * _CHOICE
            found.append((whole * self._lut_cost + choosing, cells))
        for share, cost, shapes in self._block_shapes:
            for width, depth in shapes:
                count = ceil_div(memory.width, width) * ceil_div(memory.depth, depth)
                found.append((count * cost, MemoryCells(0, count * share)))
        return min(found)[1]
