"""A feed of bytes: beats are put together from them, and taken apart."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.feeds.port import FeedPort
from summand.rtl.stream import Beat

__all__ = ["BeatsToBytes", "ByteFeed", "BytesToBeats"]


class BytesToBeats(wiring.Component):
    """Gather bytes into beats, the first byte lowest. A byte a cycle, one more cycle for each beat.

    Parameters
    ----------
    stream_bits : int
        Width of a beat, a multiple of 8.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Bytes.
    o : ``Out(stream.Signature(stream_bits))``
        Beats.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stream_bits: int):
        self.stream_bits = stream_bits
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(stream_bits))})

    def elaborate(self, platform):
        m = Module()

        count = Signal(range(self.stream_bits // 8))
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.o.payload.eq(Cat(self.o.payload[8:], self.i.payload)),
                count.eq(count + 1),
            ]
            with m.If(count == self.stream_bits // 8 - 1):
                m.d.sync += [self.o.valid.eq(1), count.eq(0)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        return m


class BeatsToBytes(wiring.Component):
    """Split beats into bytes, the lowest first; ``last`` is dropped. A byte a cycle.

    Parameters
    ----------
    stream_bits : int
        Width of a beat, a multiple of 8.

    Members
    -------
    i : ``In(stream.Signature(Beat(stream_bits)))``
        Beats.
    o : ``Out(stream.Signature(8))``
        Bytes.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stream_bits: int):
        self.stream_bits = stream_bits
        super().__init__(
            {"i": In(stream.Signature(Beat(stream_bits))), "o": Out(stream.Signature(8))}
        )

    def elaborate(self, platform):
        m = Module()

        bits = Signal(self.stream_bits)
        left = Signal(range(self.stream_bits // 8 + 1))
        m.d.comb += [
            self.i.ready.eq((left == 0) | ((left == 1) & self.o.ready)),
            self.o.valid.eq(left != 0),
            self.o.payload.eq(bits[:8]),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [bits.eq(self.i.p.data), left.eq(self.stream_bits // 8)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [bits.eq(bits >> 8), left.eq(left - 1)]

        return m


class ByteFeed(wiring.Component):
    """Feed an engine from a stream of bytes, and bring its packets back as bytes.

    While the engine is being reset, nothing passes, and beats that are not whole are dropped.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes. The stream may be of any width.

    Members
    -------
    down : ``In(stream.Signature(8))``
        Bytes of commands.
    up : ``Out(stream.Signature(8))``
        Bytes of packets.
    feed : ``Out(FeedPort)``
        The engine.
    """

    down: stream.Interface
    up: stream.Interface
    feed: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "down": In(stream.Signature(8)),
                "up": Out(stream.Signature(8)),
                "feed": Out(FeedPort(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits, resetting = self.config.stream_bits, self.feed.resetting

        gather, scatter = BytesToBeats(bits), BeatsToBytes(bits)
        m.submodules.gather = ResetInserter(resetting)(gather)
        m.submodules.scatter = ResetInserter(resetting)(scatter)
        m.d.comb += [
            gather.i.payload.eq(self.down.payload),
            gather.i.valid.eq(self.down.valid & ~resetting),
            self.down.ready.eq(gather.i.ready & ~resetting),
            self.up.payload.eq(scatter.o.payload),
            self.up.valid.eq(scatter.o.valid & ~resetting),
            scatter.o.ready.eq(self.up.ready),
        ]
        wiring.connect(m, gather.o, wiring.flipped(self.feed.commands))
        wiring.connect(m, wiring.flipped(self.feed.packets), scatter.i)

        return m
