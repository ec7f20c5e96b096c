"""Payloads of the engine's streams, and registers between two of them."""

from amaranth import *
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Beat", "StreamBuffer", "StreamRegister"]


class Beat(data.StructLayout):
    """One beat of a packet: a payload and the mark of the packet's end.

    Members
    -------
    data : ``shape``
        The value carried.
    last : 1
        Set on the packet's last beat.
    """

    def __init__(self, shape: ShapeLike):
        super().__init__({"data": shape, "last": 1})


class _Stage(wiring.Component):
    """A stream in, and the same stream out a cycle later.

    Parameters
    ----------
    shape : shape-like
        Payload.

    Members
    -------
    i : ``In(stream.Signature(shape))``
        Beats in.
    o : ``Out(stream.Signature(shape))``
        The same beats out.
    """

    #: Cycles from a transfer at ``i`` to the same beat's valid at ``o``.
    LATENCY = 1

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape: ShapeLike):
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})


class StreamRegister(_Stage):
    """Register a stream. One beat a cycle.

    ``i.ready`` follows ``o.ready`` in the same cycle; payload and valid come from flip-flops.
    """

    def elaborate(self, platform):
        m = Module()

        payload = Signal(self.shape, reset_less=True)
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(advance),
            self.o.payload.eq(payload),
        ]
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(self.i.valid), payload.eq(self.i.payload)]

        return m


class StreamBuffer(_Stage):
    """Register a stream in both directions. One beat a cycle.

    Two registers take beats in turn, and each follows the input while it is empty. So ``i.ready``
    and ``o.valid`` come from flip-flops, and ``o.ready`` drives only a few flip-flops, however wide
    the payload is.
    """

    def elaborate(self, platform):
        m = Module()

        payload = [Signal(self.shape, name=f"payload_{n}", reset_less=True) for n in range(2)]
        empty = Signal(2, init=0b11)
        left = Signal(2)
        into = Signal()  # register that the next beat goes into
        out_of = Signal()  # register that the beat at `o` is in
        room = Signal(init=1)
        after = Signal(2)  # `empty` in the next cycle
        m.d.comb += [
            self.i.ready.eq(room),
            self.o.payload.eq(Mux(out_of, payload[1], payload[0])),
            left.eq(Mux(self.o.valid & self.o.ready, 1 << out_of, 0)),
            after.eq((empty & ~Mux(self.i.valid & room, 1 << into, 0)) | left),
        ]
        m.d.sync += [
            empty.eq(after),
            room.eq(after.any()),
            self.o.valid.eq(~after.all()),
        ]
        # An empty register's value only counts if a beat came when it was the register's turn.
        for n in range(2):
            with m.If(empty[n]):
                m.d.sync += payload[n].eq(self.i.payload)
        with m.If(self.i.valid & room):
            m.d.sync += into.eq(~into)
        with m.If(left.any()):
            m.d.sync += out_of.eq(~out_of)

        return m
