"""Frames on a line of bytes: flags around them, escapes within."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.protocol import ESCAPE, ESCAPED, FLAG

__all__ = ["Deframer", "FrameByte", "Framer"]


class FrameByte(data.StructLayout):
    """A frame's next byte, or its end.

    Members
    -------
    data : 8
        The byte; 0 at an end.
    end : 1
        The frame ends here; ``data`` is then no byte of it.
    """

    def __init__(self):
        super().__init__({"data": 8, "end": 1})


class Deframer(wiring.Component):
    """Undo escapes and find frames' ends. One byte a cycle, no latency.

    A flag always ends a frame, even one cut off in an escape; the checksum detects that. Two flags
    in a row give an empty frame.

    Members
    -------
    i : ``In(stream.Signature(8, always_ready=True))``
        Bytes off the line.
    o : ``Out(stream.Signature(FrameByte(), always_ready=True))``
        Bytes of frames, and their ends.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
                "o": Out(stream.Signature(FrameByte(), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        escaped = Signal()
        flag = self.i.payload == FLAG
        escape = self.i.payload == ESCAPE
        m.d.comb += [
            self.o.valid.eq(self.i.valid & (flag | escaped | ~escape)),
            self.o.p.end.eq(flag),
            self.o.p.data.eq(Mux(flag, 0, self.i.payload ^ Mux(escaped, ESCAPED, 0))),
        ]
        with m.If(self.i.valid):
            m.d.sync += escaped.eq(escape & ~escaped)

        return m


class Framer(wiring.Component):
    """Put flags around frames and escapes within. One byte a cycle, no latency.

    Members
    -------
    i : ``In(stream.Signature(FrameByte()))``
        Bytes of frames, and their ends.
    o : ``Out(stream.Signature(8))``
        Bytes for the line.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self):
        super().__init__({"i": In(stream.Signature(FrameByte())), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()

        special = (self.i.p.data == FLAG) | (self.i.p.data == ESCAPE)
        m.d.comb += self.o.valid.eq(self.i.valid)
        with m.FSM():
            with m.State("OPEN"):
                m.d.comb += self.o.payload.eq(FLAG)
                with m.If(self.i.valid & self.o.ready):
                    m.next = "BODY"
            with m.State("BODY"):
                with m.If(self.i.p.end):
                    m.d.comb += [self.o.payload.eq(FLAG), self.i.ready.eq(self.o.ready)]
                    with m.If(self.i.valid & self.o.ready):
                        m.next = "OPEN"
                with m.Elif(special):
                    m.d.comb += self.o.payload.eq(ESCAPE)
                    with m.If(self.i.valid & self.o.ready):
                        m.next = "ESCAPED"
                with m.Else():
                    m.d.comb += [self.o.payload.eq(self.i.p.data), self.i.ready.eq(self.o.ready)]
            with m.State("ESCAPED"):
                m.d.comb += [
                    self.o.payload.eq(self.i.p.data ^ ESCAPED),
                    self.i.ready.eq(self.o.ready),
                ]
                with m.If(self.i.valid & self.o.ready):
                    m.next = "BODY"

        return m
