"""Drained accumulators on their way to a packet or to the activations."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.drain import DrainedTile

__all__ = ["ResultRouter"]


class ResultRouter(wiring.Component):
    """Pass tiles on to one of two receivers. Combinational.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    to_acts : ``In(1)``
        Tiles go to :attr:`acts`; else to :attr:`packet`. Steady while there are any.
    i : ``In(stream.Signature(DrainedTile))``
        Tiles.
    acts : ``Out(stream.Signature(DrainedTile))``
        Tiles that become activations.
    packet : ``Out(stream.Signature(DrainedTile))``
        Tiles that leave in a packet.
    """

    to_acts: Signal
    i: stream.Interface
    acts: stream.Interface
    packet: stream.Interface

    def __init__(self, config: EngineConfig):
        tiles = stream.Signature(DrainedTile(config))
        super().__init__(
            {"to_acts": In(1), "i": In(tiles), "acts": Out(tiles), "packet": Out(tiles)}
        )

    def elaborate(self, platform):
        m = Module()

        m.d.comb += [
            self.acts.payload.eq(self.i.payload),
            self.packet.payload.eq(self.i.payload),
            self.acts.valid.eq(self.i.valid & self.to_acts),
            self.packet.valid.eq(self.i.valid & ~self.to_acts),
            self.i.ready.eq(Mux(self.to_acts, self.acts.ready, self.packet.ready)),
        ]

        return m
