"""A short queue in LUT RAM."""

from typing import Any

from amaranth import *
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from summand.isa.rounding import ceil_log2

__all__ = ["LutQueue"]


class LutQueue(wiring.Component):
    """Hold up to ``depth`` items. One in and one out a cycle; an item is out a cycle after it came.

    There is no ``ready`` for the writer, which must count the free places itself.

    Parameters
    ----------
    shape : shape-like
        An item.
    depth : int
        A power of two.

    Members
    -------
    write : ``In(1)``
        Put :attr:`item` in; only while there is room.
    item : ``In(shape)``
        An item.
    o : ``Out(stream.Signature(shape))``
        The items, in order.
    """

    write: Signal
    item: Any
    o: stream.Interface

    def __init__(self, shape: ShapeLike, depth: int):
        self.shape = shape
        self.depth = depth
        super().__init__({"write": In(1), "item": In(shape), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.memory = memory = Memory(shape=self.shape, depth=self.depth, init=[])
        write = memory.write_port()
        read = memory.read_port(domain="comb")
        held = Signal(ceil_log2(self.depth) + 1)
        took = Signal()
        m.d.comb += [
            write.en.eq(self.write),
            write.data.eq(self.item),
            self.o.payload.eq(read.data),
            took.eq(self.o.valid & self.o.ready),
        ]
        with m.If(self.write):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(took):
            m.d.sync += read.addr.eq(read.addr + 1)
        with m.If(took ^ self.write):
            m.d.sync += held.eq(Mux(self.write, held + 1, held - 1))
        m.d.sync += self.o.valid.eq(self.write | Mux(took, held[1:].any(), self.o.valid))

        return m
