"""A FIFO in block RAM whose writer keeps count of the room itself."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.rtl.ram import BlockRam

__all__ = ["CountedFifo"]


class CountedFifo(wiring.Component):
    """Hold up to ``depth`` words. One in and one out a cycle, :attr:`LATENCY` cycles.

    There is no ``ready`` for the writer: it must know that there is room, as who hands out credits
    does. Little then hangs on ``o.ready``: two enables and a narrow counter.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
        Words, a power of two.

    Members
    -------
    write, data : ``In``
        A word in.
    o : ``Out(stream.Signature(width))``
        Words out, in order.
    """

    #: Cycles from a write into an empty FIFO to the same word's valid at ``o``.
    LATENCY = 2

    write: Signal
    data: Signal
    o: stream.Interface

    def __init__(self, *, width: int, depth: int):
        self.width = width
        self.depth = depth
        super().__init__({"write": In(1), "data": In(width), "o": Out(stream.Signature(width))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.ram = ram = BlockRam(width=self.width, depth=self.depth)
        m.d.comb += [
            ram.write_en.eq(self.write),
            ram.write_data.eq(self.data),
            self.o.payload.eq(ram.read_data),
        ]
        with m.If(self.write):
            m.d.sync += ram.write_addr.eq(ram.write_addr + 1)

        # Words in the RAM that have not been read; `some` tells without counting whether any are.
        waiting = Signal(ceil_log2(self.depth) + 1)
        some = Signal()
        advance = Signal()
        read = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            read.eq(advance & some),
            ram.read_en.eq(advance),
        ]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(some)
        with m.If(read):
            m.d.sync += ram.read_addr.eq(ram.read_addr + 1)
        with m.If(self.write & ~read):
            m.d.sync += [waiting.eq(waiting + 1), some.eq(1)]
        with m.Elif(read & ~self.write):
            m.d.sync += [waiting.eq(waiting - 1), some.eq(waiting != 1)]

        return m
