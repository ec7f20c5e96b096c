"""Orders to gather chunks: the index of a sparse tile, or a plane's values, or a dense word."""

from collections.abc import Sequence

from amaranth import *
from amaranth.lib import data

from summand.isa import EngineConfig
from summand.isa.patterns import SparsePattern
from summand.isa.rounding import ceil_log2
from summand.isa.structure import WORDS_AHEAD

__all__ = ["Gather", "beat_count_bits", "by_kept", "patterns"]


def beat_count_bits(config: EngineConfig) -> int:
    """Return the width of a count of beats, by which two at most so far apart compare."""
    return ceil_log2(2 * WORDS_AHEAD * config.plane_beats)


class Gather(data.StructLayout):
    """Chunks that leave the buffer together, no more than a plane word has.

    Members
    -------
    chunk : ``log2(WORDS_AHEAD * sparse_block)``
        Place of the first in the buffer.
    turn : ``log2(sparse_block)``
        Of which chunk's place, modulo ``sparse_block``, the chunk becomes the first: the first
        value's. An index before it becomes the last.
    beats : ``beat_count_bits``
        Count of beats after the last that it needs.
    kept : ``log2(sparse_block)``
        As in the segment.
    index : 1
        An index is among them.
    word : 1
        Values are among them: a plane word comes of them.
    """

    def __init__(self, config: EngineConfig):
        place = ceil_log2(config.sparse_block)
        super().__init__(
            {
                "chunk": ceil_log2(WORDS_AHEAD * config.sparse_block),
                "turn": place,
                "beats": beat_count_bits(config),
                "kept": place,
                "index": 1,
                "word": 1,
            }
        )


def patterns(config: EngineConfig) -> list[SparsePattern]:
    """Return the engine's patterns, by their ``kept`` from 1 on."""
    block = config.sparse_block
    return [SparsePattern(kept=kept, block=block) for kept in range(1, block)]


def by_kept(kept: Value, dense: int, sparse: Sequence[int]) -> Value:
    """Return a segment's figure: ``dense``, or that of its pattern among ``sparse``."""
    figures = [dense, *sparse]
    width = max(1, max(figures).bit_length())
    columns = [sum((f >> b & 1) << n for n, f in enumerate(figures)) for b in range(width)]
    return Cat(*(C(column, len(figures)).bit_select(kept, 1) for column in columns))
