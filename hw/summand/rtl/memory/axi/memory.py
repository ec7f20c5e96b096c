"""A memory that is reached by AXI4."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.rtl.memory.axi.bus import PAGE_BITS, AxiConfig, AxiReads, AxiWrites
from summand.rtl.memory.axi.reader import AxiReader
from summand.rtl.memory.axi.writer import AxiWriter
from summand.rtl.memory.port import MemoryPort

__all__ = ["AxiMemory"]


class AxiMemory(wiring.Component):
    """Join an AXI4 subordinate to a port of runs.

    Parameters
    ----------
    config : :class:`~summand.rtl.memory.axi.bus.AxiConfig`
        Sizes.

    Members
    -------
    port : ``In(MemoryPort(stream_bits))``
        Runs of beats.
    base : ``In(address_bits - 12)``
        Where the memory begins on the bus, in 4 KB; constant while there are runs.
    reads : ``Out(AxiReads(config))``
        The bus's channels that read.
    writes : ``Out(AxiWrites(config))``
        Those that write.
    """

    port: Any
    base: Signal
    reads: Any
    writes: Any

    def __init__(self, config: AxiConfig):
        self.config = config
        super().__init__(
            {
                "port": In(MemoryPort(config.stream_bits)),
                "base": In(config.address_bits - PAGE_BITS),
                "reads": Out(AxiReads(config)),
                "writes": Out(AxiWrites(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.reader = reader = AxiReader(self.config)
        m.submodules.writer = writer = AxiWriter(self.config)
        wiring.connect(m, wiring.flipped(self.port.reads), reader.runs)
        wiring.connect(m, reader.beats, wiring.flipped(self.port.beats))
        wiring.connect(m, wiring.flipped(self.port.writes), writer.runs)
        wiring.connect(m, wiring.flipped(self.port.data), writer.data)
        wiring.connect(m, reader.bus, wiring.flipped(self.reads))
        wiring.connect(m, writer.bus, wiring.flipped(self.writes))
        m.d.comb += [
            self.port.idle.eq(reader.idle & writer.idle),
            self.port.failed.eq(writer.failed),
        ]
        for part in (reader, writer):
            m.d.comb += [part.base.eq(self.base), part.abort.eq(self.port.abort)]

        return m
