"""Runs written by AXI4."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.rtl.memory.axi.bursts import BurstCutter, request
from summand.rtl.memory.axi.bus import PAGE_BITS, AxiConfig, AxiWrites, refused
from summand.rtl.memory.port import Run

__all__ = ["AxiWriter"]


class AxiWriter(wiring.Component):
    """Write runs of beats, without waiting for a burst's answer before the next.

    A burst begins when the one before has been handed over, with two cycles in between. Its beats
    do not wait for its address to be taken. ``data.ready`` follows ``bus.wready`` within a cycle.

    Parameters
    ----------
    config : :class:`~summand.rtl.memory.axi.bus.AxiConfig`
        Sizes.

    Members
    -------
    runs, data, idle, failed, abort
        ``writes``, ``data``, ``idle``, ``failed`` and ``abort`` of a
        :class:`~summand.rtl.memory.port.MemoryPort`, of writes alone.
    base : ``In(address_bits - 12)``
        Where the memory begins on the bus, in 4 KB; constant while there are runs.
    bus : ``Out(AxiWrites(config))``
        The bus.
    """

    runs: stream.Interface
    data: stream.Interface
    idle: Signal
    failed: Signal
    abort: Signal
    base: Signal
    bus: Any

    def __init__(self, config: AxiConfig):
        self.config = config
        super().__init__(
            {
                "runs": In(stream.Signature(Run())),
                "data": In(stream.Signature(config.stream_bits)),
                "idle": Out(1),
                "failed": Out(1),
                "abort": In(1),
                "base": In(config.address_bits - PAGE_BITS),
                "bus": Out(AxiWrites(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg, bus = self.config, self.bus

        m.submodules.cutter = cutter = BurstCutter(cfg)
        wiring.connect(m, wiring.flipped(self.runs), cutter.runs)
        request(m, cutter, bus, "aw")
        writing = Signal()  # beats of the burst that began last are still to be handed over
        more = Signal(cfg.length_bits)  # of them, after the next
        m.d.comb += [
            cutter.base.eq(self.base),
            cutter.abort.eq(self.abort),
            cutter.room.eq(~writing),
            cutter.ended.eq(bus.bvalid),
            self.idle.eq(cutter.idle),
            bus.bready.eq(1),
        ]
        m.d.sync += self.failed.eq(bus.bvalid & refused(bus.bresp))

        advance = Signal()
        strobe = Signal()
        put = Signal()
        m.d.comb += [
            advance.eq(~bus.wvalid | bus.wready),
            put.eq(writing & (self.data.valid | self.abort)),
            self.data.ready.eq(writing & advance & ~self.abort),
            bus.wstrb.eq(strobe.replicate(len(bus.wstrb))),
        ]
        # An aborted burst is completed with beats that leave the memory as it is.
        with m.If(advance):
            m.d.sync += [
                bus.wvalid.eq(put),
                bus.wdata.eq(self.data.payload),
                bus.wlast.eq(more == 0),
                strobe.eq(~self.abort),
            ]
        with m.If(cutter.began):
            m.d.sync += [writing.eq(1), more.eq(cutter.o.p.more)]
        with m.Elif(put & advance):
            m.d.sync += [writing.eq(more != 0), more.eq(more - 1)]

        return m
