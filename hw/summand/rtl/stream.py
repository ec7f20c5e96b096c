"""Payloads of the engine's streams, and a register between two of them."""

from amaranth import *
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Beat", "StreamRegister"]


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


class StreamRegister(wiring.Component):
    """Register a stream. One beat a cycle, :attr:`LATENCY` cycle.

    ``i.ready`` follows ``o.ready`` in the same cycle; payload and valid come from flip-flops.

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
