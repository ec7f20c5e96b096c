"""Runs read by AXI4."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa.memory import EngineMemory, MemoryKind
from summand.isa.rounding import ceil_log2
from summand.rtl.fifo import CountedFifo
from summand.rtl.memory.axi.bursts import BurstCutter, request
from summand.rtl.memory.axi.bus import PAGE_BITS, AxiConfig, AxiReads, refused
from summand.rtl.memory.port import ReadBeat, Run
from summand.rtl.queue import LutQueue

__all__ = ["AxiReader"]


class AxiReader(wiring.Component):
    """Read runs of beats, several bursts ahead.

    A burst is asked for only when the buffer has room for all of it, so the bus never waits for
    this end: ``rready`` is always high. One beat a cycle as long as the bus brings them, and the
    time from a request to its first beat is at most ``config.depth`` cycles less a burst's and the
    buffer's own few.

    Beats are counted, whatever ``rlast`` says. Where it contradicts the count, that beat and all
    later ones until ``idle`` are failed: nobody can tell then which beat is which.

    Parameters
    ----------
    config : :class:`~summand.rtl.memory.axi.bus.AxiConfig`
        Sizes.

    Members
    -------
    runs, beats, idle, abort
        ``reads``, ``beats``, ``idle`` and ``abort`` of a
        :class:`~summand.rtl.memory.port.MemoryPort`, of reads alone.
    base : ``In(address_bits - 12)``
        Where the memory begins on the bus, in 4 KB; constant while there are runs.
    bus : ``Out(AxiReads(config))``
        The bus.
    """

    #: Cycles from a beat on the bus to the same beat's valid at ``beats``.
    LATENCY = 1 + CountedFifo.LATENCY

    runs: stream.Interface
    beats: stream.Interface
    idle: Signal
    abort: Signal
    base: Signal
    bus: Any

    def __init__(self, config: AxiConfig):
        self.config = config
        super().__init__(
            {
                "runs": In(stream.Signature(Run())),
                "beats": Out(stream.Signature(ReadBeat(config.stream_bits))),
                "idle": Out(1),
                "abort": In(1),
                "base": In(config.address_bits - PAGE_BITS),
                "bus": Out(AxiReads(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        m.submodules.cutter = cutter = BurstCutter(cfg)
        m.submodules.lengths = lengths = LutQueue(cfg.length_bits, cfg.bursts)
        m.submodules.buffer = buffer = CountedFifo(
            EngineMemory(
                name="beats read ahead",
                kind=MemoryKind.BLOCK,
                width=cfg.stream_bits + 1,
                depth=cfg.depth,
            )
        )
        wiring.connect(m, wiring.flipped(self.runs), cutter.runs)
        request(m, cutter, self.bus, "ar")
        m.d.comb += [
            cutter.base.eq(self.base),
            cutter.abort.eq(self.abort),
            lengths.write.eq(cutter.began),
            lengths.item.eq(cutter.o.p.more),
            self.bus.rready.eq(1),
        ]

        # What came, a cycle later. A beat that no burst has asked for is dropped.
        came = Signal()
        last = Signal()
        failed = Signal()
        beat = Signal(cfg.stream_bits, reset_less=True)
        place = Signal(cfg.length_bits)
        ends = Signal()  # it is its burst's last, by the count
        take = Signal()
        wrong = Signal()
        lost = Signal()  # which beat is which
        m.d.sync += [
            came.eq(self.bus.rvalid),
            last.eq(self.bus.rlast),
            failed.eq(refused(self.bus.rresp)),
            beat.eq(self.bus.rdata),
        ]
        m.d.comb += [
            ends.eq(place == lengths.o.payload),
            take.eq(came & lengths.o.valid),
            wrong.eq(last ^ ends),
            lengths.o.ready.eq(take & ends),
            cutter.ended.eq(take & ends),
            buffer.write.eq(take),
            buffer.data.eq(Cat(beat, failed | wrong | lost)),
        ]
        with m.If(take):
            m.d.sync += place.eq(Mux(ends, 0, place + 1))
        with m.If(self.idle):
            m.d.sync += lost.eq(0)
        with m.Elif(take & wrong):
            m.d.sync += lost.eq(1)

        m.d.comb += [
            self.beats.p.data.eq(buffer.o.payload[:-1]),
            self.beats.p.failed.eq(buffer.o.payload[-1]),
            self.beats.valid.eq(buffer.o.valid & ~self.abort),
            buffer.o.ready.eq(self.beats.ready | self.abort),
        ]

        # Places in the buffer that no burst under way has asked for. One adder: the complement of
        # `more` is as far below 0 as a burst has beats, and a beat that leaves is a carry.
        free = Signal(ceil_log2(cfg.depth) + 1, init=cfg.depth)
        left = Signal()
        less = Mux(cutter.began, ~cutter.o.p.more, 0)[: cfg.length_bits]
        m.d.comb += [
            left.eq(buffer.o.valid & buffer.o.ready),
            cutter.room.eq(free[cfg.length_bits :].any()),
            self.idle.eq(cutter.idle & free[-1]),
        ]
        step = Cat(less, cutter.began.replicate(len(free) - cfg.length_bits))
        m.d.sync += free.eq((Cat(left, free) + Cat(left, step))[1:])

        return m
