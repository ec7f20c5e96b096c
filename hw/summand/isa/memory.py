"""An engine's memories: their kinds and sizes."""

import enum
from dataclasses import dataclass

__all__ = ["EngineMemory", "MemoryKind"]


class MemoryKind(enum.Enum):
    """Where a memory is kept on an FPGA."""

    LUT = "LUT RAM"
    BLOCK = "block RAM"


@dataclass(frozen=True, kw_only=True)
class EngineMemory:
    """One of an engine's memories, ``count`` times.

    Parameters
    ----------
    name : str
        What it holds.
    kind : MemoryKind
        Where it is kept.
    width : int
        Bits of a word.
    depth : int
        Words.
    count : int
        Equal memories in the engine.
    """

    name: str
    kind: MemoryKind
    width: int
    depth: int
    count: int = 1
