"""Bytes to beats and back."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.rtl.stream import Beat

__all__ = ["BeatsToBytes", "BytesToBeats"]


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
    """Split beats into bytes, the lowest first; ``last`` is dropped.

    A byte a cycle, one more cycle for each beat.

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
            self.i.ready.eq(left == 0),
            self.o.valid.eq(left != 0),
            self.o.payload.eq(bits[:8]),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [bits.eq(self.i.p.data), left.eq(self.stream_bits // 8)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [bits.eq(bits >> 8), left.eq(left - 1)]

        return m
