"""Plane words from gathered chunks."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.delay import delayed
from summand.rtl.encodings.sparse.funnel import Gathered
from summand.rtl.encodings.sparse.places import KeptPlaces
from summand.rtl.encodings.sparse.spread import BlockSpread

__all__ = ["WordExpander"]


class WordExpander(wiring.Component):
    """Keep a tile's index, and spread each plane's values to the places that it says are kept.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``sparse_block`` is not 0.

    Members
    -------
    i : ``In(Gathered)``
        Chunks.
    valid : ``In(1)``
        There are some.
    word : ``Out(plane_bits)``
        A plane word, :attr:`LATENCY` cycles after its values.
    write : ``Out(1)``
        There is one.
    """

    #: Cycles from a plane's values to its word.
    LATENCY = 1 + BlockSpread.LATENCY

    i: Any
    valid: Signal
    word: Signal
    write: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "i": In(Gathered(config)),
                "valid": In(1),
                "word": Out(config.plane_bits),
                "write": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        block = cfg.sparse_block
        chunks = self.i.chunks
        dense = delayed(m, self.i.dense, self.LATENCY, "dense", reset_less=True)
        renew = Signal()
        m.d.comb += renew.eq(self.valid & self.i.index)

        # Values of no kept place are reset, which takes no look-up tables.
        came: list[Value] = []
        for n, chunk in enumerate(chunks):
            value = Signal.like(chunk, name=f"came_{n}", reset_less=True)
            came.append(value)
            m.d.sync += value.eq(chunk)
            with m.If(self.i.spare[n]):
                m.d.sync += value.eq(0)
        values = [delayed(m, v, 1, f"value_{n}", reset_less=True) for n, v in enumerate(came)]
        weights = delayed(m, Cat(*values), 1, "weights", reset_less=True)

        for lane in range(cfg.plane_bits // block):
            m.submodules[f"places_{lane}"] = places = KeptPlaces(block)
            m.submodules[f"spread_{lane}"] = spread = BlockSpread(block)
            held = Signal(block, name=f"kept_{lane}", reset_less=True)
            m.d.comb += [
                places.index.eq(Cat(chunk[lane] for chunk in chunks)),
                places.named.eq(self.i.named),
                places.mask.eq(self.i.mask),
                places.holes.eq(self.i.holes),
                spread.kept.eq(held),
                spread.values.eq(Cat(value[lane] for value in values)),
                spread.dense.eq(dense),
                spread.weights.eq(weights[lane * block :][:block]),
                self.word[lane * block : (lane + 1) * block].eq(spread.o),
            ]
            with m.If(renew):
                m.d.sync += held.eq(places.kept)
        m.d.comb += self.write.eq(delayed(m, self.valid & self.i.word, self.LATENCY, "write"))

        return m
