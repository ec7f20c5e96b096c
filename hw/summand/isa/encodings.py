"""Encodings of a segment's weights in the stream."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from summand.isa.config import EngineConfig
from summand.isa.patterns import SparsePattern
from summand.isa.rounding import ceil_div

__all__ = ["PLANE_WORDS", "Encoding", "PlaneWords", "SparseBlocks"]


class Encoding(ABC):
    """One way to write the weights of a segment in the stream."""

    @abstractmethod
    def beats(self, tiles: int, planes: int, config: EngineConfig) -> int:
        """Return the beats of ``tiles`` tiles of weights of ``planes`` planes, in each slice."""


@dataclass(frozen=True)
class PlaneWords(Encoding):
    """A plane word for each plane of a tile: one bit of each of the tile's weights."""

    def beats(self, tiles: int, planes: int, config: EngineConfig) -> int:
        """Return the beats of all plane words."""
        return tiles * planes * config.plane_beats


@dataclass(frozen=True, kw_only=True)
class SparseBlocks(Encoding):
    """Of each block of ``config.sparse_block`` weights, ``kept``, and where they are.

    Parameters
    ----------
    kept : int
        Weights of a block that are streamed.
    """

    kept: int

    def beats(self, tiles: int, planes: int, config: EngineConfig) -> int:
        """Return the beats of all tiles, which follow each other without gaps."""
        pattern = SparsePattern(kept=self.kept, block=config.sparse_block)
        return ceil_div(tiles * pattern.tile_chunks(planes), config.beat_chunks)


#: The encoding of dense weights.
PLANE_WORDS = PlaneWords()
