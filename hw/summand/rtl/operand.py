"""The operand memory: plane words that are made on the chip and multiply as those of the stream."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.structure import operand_memory
from summand.isa.widths import lane_bits, word_addr_bits
from summand.rtl.ram import BlockRam

__all__ = ["OperandMemory", "OperandWrite", "StoredPort"]


class OperandWrite(data.StructLayout):
    """A plane's bits of one tile and one input feature.

    Members
    -------
    valid : 1
        Write them.
    lane : ``lane_bits``
        Input feature of the slice.
    addr : ``word_addr_bits``
        Word.
    bits : ``cols``
        A bit for each output feature.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "valid": 1,
                "lane": lane_bits(config),
                "addr": word_addr_bits(config),
                "bits": config.cols,
            }
        )


class StoredPort(wiring.Signature):
    """Walks over words of the operand, as the front orders them.

    Members
    -------
    start, stop : ``Out(1)``
        Begin to read with word :attr:`first`; the walk's last word is taken in this cycle.
    first : ``Out(16)``
        Steady in the cycle of :attr:`start`.
    taken : ``In(1)``
        A word enters the array.
    past : ``In(1)``
        The walk's next word lies beyond the memory.
    """

    def __init__(self):
        super().__init__(
            {"start": Out(1), "stop": Out(1), "first": Out(16), "taken": In(1), "past": In(1)}
        )


class OperandMemory(wiring.Component):
    """Keep plane words, written a lane at a time, and read them in order, a word a cycle.

    A lane has a memory of its own, ``cols`` bits wide, so that the bits of other lanes stay. The
    first word is at :attr:`o` :attr:`LATENCY` cycles after ``orders.start``, and the next is there
    in the cycle after each that is taken. What is written can be read two cycles later.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``operand_depth`` is not 0.

    Members
    -------
    orders : ``In(StoredPort)``
        Walks; ``taken`` is not driven here.
    write : ``In(OperandWrite)``
        Bits to write.
    reading : ``Out(1)``
        From the cycle after ``orders.start`` to that of ``orders.stop``.
    o : ``Out(stream.Signature(plane_bits))``
        Words.
    """

    #: Cycles from the order to read to the first word.
    LATENCY = BlockRam.LATENCY + 1

    orders: Any
    write: Any
    reading: Signal
    o: stream.Interface

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "orders": In(StoredPort()),
                "write": In(OperandWrite(config)),
                "reading": Out(1),
                "o": Out(stream.Signature(config.plane_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        orders = self.orders

        # Words are read ahead of their need, also beyond the walk's last; a word that lies outside
        # the memory only matters when the walk comes to it.
        addr = Signal(len(orders.first) + 1)
        held = Signal(BlockRam.LATENCY)  # a bit for each stage
        beyond = Signal(BlockRam.LATENCY)
        advance = Signal()
        m.d.comb += [
            advance.eq(self.reading & (~held[-1] | self.o.ready)),
            self.o.valid.eq(held[-1] & ~beyond[-1]),
            orders.past.eq(held[-1] & beyond[-1]),
        ]
        with m.If(advance):
            m.d.sync += [
                addr.eq(addr + 1),
                held.eq(Cat(self.reading, held)),
                beyond.eq(Cat(addr[word_addr_bits(cfg) :].any(), beyond)),
            ]
        with m.If(orders.start):
            m.d.sync += [addr.eq(orders.first), self.reading.eq(1)]
        with m.If(orders.stop):
            m.d.sync += [self.reading.eq(0), held.eq(0)]

        # What is written goes to all lanes, so it comes from registers, and so do their enables.
        write = Signal(OperandWrite(cfg))
        lanes = Signal(cfg.depth)
        m.d.sync += [
            write.eq(self.write),
            lanes.eq(Cat(self.write.valid & (self.write.lane == n) for n in range(cfg.depth))),
        ]
        rams = [BlockRam.of(operand_memory(cfg)) for _ in range(cfg.depth)]
        for n, ram in enumerate(rams):
            m.submodules[f"lane_{n}"] = ram
            m.d.comb += [
                ram.write_en.eq(lanes[n]),
                ram.write_addr.eq(write.addr),
                ram.write_data.eq(write.bits),
                ram.read_en.eq(advance),
                ram.read_addr.eq(addr),
            ]
        columns = range(cfg.cols)
        m.d.comb += self.o.payload.eq(Cat(Cat(r.read_data[c] for r in rams) for c in columns))

        return m
