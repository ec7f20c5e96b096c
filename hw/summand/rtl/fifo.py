"""A FIFO in block RAM whose writer counts the free places."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.isa.latencies import FIFO_LATENCY
from summand.isa.memory import EngineMemory
from summand.rtl.ram import BlockRam

__all__ = ["CountedFifo"]


class CountedFifo(wiring.Component):
    """Hold up to ``memory.depth`` words. One in and one out a cycle, :attr:`LATENCY` cycles.

    There is no ``ready`` for the writer, which must count the free places itself. So ``o.ready``
    drives only enables and a narrow counter.

    Parameters
    ----------
    memory : :class:`~summand.isa.memory.EngineMemory`
        Where the words are kept; its depth is a power of two.

    Members
    -------
    write : ``In(1)``
        Put :attr:`data` in; only while there is room.
    data : ``In(width)``
        A word.
    o : ``Out(stream.Signature(width))``
        The words, in order.
    """

    #: Cycles from a write into an empty FIFO to the same word's valid at ``o``.
    LATENCY = FIFO_LATENCY

    write: Signal
    data: Signal
    o: stream.Interface

    def __init__(self, memory: EngineMemory):
        self.memory = memory
        super().__init__(
            {
                "write": In(1),
                "data": In(memory.width),
                "o": Out(stream.Signature(memory.width)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.ram = ram = BlockRam.of(self.memory)
        m.d.comb += [
            ram.write_en.eq(self.write),
            ram.write_data.eq(self.data),
            self.o.payload.eq(ram.read_data),
        ]
        with m.If(self.write):
            m.d.sync += ram.write_addr.eq(ram.write_addr + 1)

        # Words in the RAM that have not been read, and a register that says if there are any.
        waiting = Signal(ceil_log2(self.memory.depth) + 1)
        some = Signal()
        read_before = Signal()  # a word is between the RAM and its output register
        advance = Signal()
        free = Signal()
        read = Signal()
        # Where the word before was read.
        last = Signal(range(self.memory.depth), init=self.memory.depth - 1)
        following = Signal.like(last, init=0)  # and the place after it
        # The RAM and its output register share one enable. A word may be read while another waits
        # at the output, so the register must then take the same word once more: without a word to
        # read, the RAM reads its last one again.
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            free.eq(advance | ~read_before),
            read.eq(free & some),
            ram.read_en.eq(advance | (some & ~read_before)),
            ram.read_addr.eq(Mux(some, following, last)),
        ]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(read_before)
        with m.If(free):
            m.d.sync += read_before.eq(some)
        with m.If(read):
            m.d.sync += [last.eq(following), following.eq(following + 1)]
        # `write` alone chooses the value, because `read` comes late in its cycle.
        with m.If(read ^ self.write):
            m.d.sync += waiting.eq(Mux(self.write, waiting + 1, waiting - 1))
        several = waiting[1:].any()
        m.d.sync += some.eq(self.write | Mux(read, several, some))

        return m
