"""A ring of checked segments, as those see it that count through a walk."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.structure import segment_fields

__all__ = ["RingPort", "SegmentEntry"]


class SegmentEntry(data.StructLayout):
    """A checked segment as the walker uses it.

    Members
    -------
    tile : ``tile_bits``
        First tile.
    more : ``tile_bits``
        Tiles after the first.
    words : 3
        Words of a tile after the tile's first.
    clear, shift : 1
        As in the descriptor; they apply in the command's first slice.
    scaled : 1
        Its tiles have scales.
    half_step : 1
        Its weights are half-step; only in an engine with them.
    kept : ``log2(sparse_block)``
        Weights of a block that are streamed, 0 if it is dense; only in an engine with sparse
        segments.
    one_tile, one_word : 1
        :attr:`more` is 0; :attr:`words` is 0.
    last : 1
        It is the table's last segment.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(segment_fields(config))


class RingPort(wiring.Signature):
    """The ring of checked segments, as one sees it that counts through them.

    Members
    -------
    next : ``Out(1)``
        Step: :attr:`entry` becomes the following segment, and the first after the last. Two steps
        after a rewind it is the first.
    entry : ``In(SegmentEntry)``
        The current segment.
    ahead : ``In(SegmentEntry)``
        What :attr:`entry` will be after the next step.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "next": Out(1),
                "entry": In(SegmentEntry(config)),
                "ahead": In(SegmentEntry(config)),
            }
        )
