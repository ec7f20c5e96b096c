"""The engine: one input stream of commands, activations and weights; one output of results."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.structure import SCALE_LATENCY, drain_room, element
from summand.rtl.counters import CountersLayout, CycleCounters
from summand.rtl.delay import delayed
from summand.rtl.drain import Drain
from summand.rtl.front import Front
from summand.rtl.gearbox import BeatGatherer, ResultPacker
from summand.rtl.loader import TableLoader
from summand.rtl.packets import PacketWriter
from summand.rtl.requantise import Requantiser
from summand.rtl.rows import Rows
from summand.rtl.scales import ScaleMemory
from summand.rtl.segments import SegmentTable
from summand.rtl.stream import Beat, StreamBuffer, StreamRegister
from summand.rtl.token import Token, Work
from summand.rtl.walker import Walker

__all__ = ["Engine"]


class Engine(wiring.Component):
    """Execute a command stream exactly as :class:`summand.golden.GoldenEngine` does.

    A reset must last for :meth:`reset_cycles`.

    ::

        i -> front -+-> gatherer -> walker --+
                    +-> scales --------------+
                    +-> loader (tables) -----+-> row 0 -> row 1 -> ...
                    +-> activations ---------+     |
                    +-> drain (free slots) --+     v
                             ^------------------ results
                             +-> packer -> packets -> o
                             +-> requantiser -> activations

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(stream.Signature(stream_bits))``
        Commands.
    o : ``Out(stream.Signature(Beat(stream_bits)))``
        Packets.
    busy : ``Out(1)``
        A command is being done, or its results are leaving; known a cycle late.
    error : ``Out(8)``
        Error code, 0 while all is well.
    commands : ``Out(32)``
        Commands started.
    counters : ``Out(CountersLayout)``
        Cycles by what they were spent on.
    """

    i: stream.Interface
    o: stream.Interface

    busy: Signal
    error: Signal
    commands: Signal
    counters: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(config.stream_bits)),
                "o": Out(stream.Signature(Beat(config.stream_bits))),
                "busy": Out(1),
                "error": Out(8),
                "commands": Out(32),
                "counters": Out(CountersLayout()),
            }
        )

    @staticmethod
    def reset_cycles(config: EngineConfig) -> int:
        """Cycles after which nothing that was begun is on its way and the tables can be used.

        The first cycle ends the table that was being filled; then entry 0 of each is written.
        """
        return max(drain_room(config), element(config).reset)

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        m.submodules.inlet = inlet = StreamBuffer(cfg.stream_bits)
        m.submodules.outlet = outlet = StreamRegister(Beat(cfg.stream_bits))
        m.submodules.front = front = Front(cfg)
        m.submodules.gatherer = gatherer = BeatGatherer(cfg.stream_bits, cfg.plane_beats)
        m.submodules.segments = segments = SegmentTable(cfg)
        m.submodules.walker = walker = Walker(cfg)
        m.submodules.loader = loader = TableLoader(cfg)
        m.submodules.drain = drain = Drain(cfg)
        m.submodules.packer = packer = ResultPacker(cfg)
        m.submodules.requantiser = requantiser = Requantiser(cfg)
        m.submodules.packets = packets = PacketWriter(cfg)
        m.submodules.counters = counters = CycleCounters()

        wiring.connect(m, wiring.flipped(self.i), inlet.i)
        wiring.connect(m, inlet.o, front.i)
        wiring.connect(m, front.planes, gatherer.i)
        wiring.connect(m, gatherer.o, walker.words)
        wiring.connect(m, packer.o, packets.results)
        wiring.connect(m, packets.o, outlet.i)
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # A GEMM: the loader and the walker share its slices and its segment ring.
        m.d.comb += [
            segments.begin.eq(front.begin),
            segments.write.eq(front.segment_valid),
            segments.descriptor.eq(front.segment),
            segments.last.eq(front.segment_last),
            segments.low.eq(front.drain_low),
            segments.high.eq(front.drain_high),
            segments.rewind.eq(front.walk),
            segments.next.eq(walker.next),
            front.segments_checked.eq(segments.checked),
            front.segment_error.eq(segments.error),
            front.conflict.eq(segments.conflict),
            loader.start.eq(front.begin),
            loader.addr.eq(front.source),
            loader.slices.eq(front.slices),
            loader.release.eq(walker.release),
            walker.start.eq(front.walk),
            front.walking.eq(walker.walking),
            walker.slices.eq(front.slices),
            walker.group.eq(front.group),
            walker.next_ready.eq(loader.next_ready),
            walker.entry.eq(segments.entry),
            walker.ahead.eq(segments.ahead),
            front.done.eq(walker.done),
        ]

        # STORE and REQUANTISE: what is drained goes to one or the other.
        m.d.comb += [
            drain.start.eq(front.drain),
            drain.order.eq(front.drain_order),
            front.reading.eq(drain.reading),
            requantiser.start.eq(front.requantise),
            requantiser.addr.eq(front.target),
            requantiser.param.eq(front.param),
            requantiser.param_valid.eq(front.param_valid),
            requantiser.i.p.data.eq(drain.o.p.acc),
            requantiser.i.p.last.eq(drain.o.p.row_ends),
            requantiser.final.eq(drain.o.p.final),
            packer.i.p.data.eq(drain.o.p.acc),
            packer.i.p.last.eq(drain.o.p.final),
            requantiser.i.valid.eq(drain.o.valid & front.to_acts),
            packer.i.valid.eq(drain.o.valid & ~front.to_acts),
            drain.o.ready.eq(Mux(front.to_acts, requantiser.i.ready, packer.i.ready)),
            packets.start.eq(front.packet),
            packets.order.eq(front.packet_order),
            packets.counters.eq(counters.count),
            front.packet_busy.eq(packets.busy),
        ]

        # The late half of the token. A word or a LOAD's beat comes first; a cycle later, when it is
        # known what came, a drained tile takes a slot where no word ends a tile, and a requantised
        # word one where the bus is free. The gatherer passes the beat at hand on as a word's top,
        # a LOAD's beat too.
        came = Signal(Work(cfg), reset_less=True)
        ends = Signal()  # it is a tile's last word
        m.d.sync += [
            came.eq(walker.work),
            ends.eq(walker.work.valid & walker.work.last),
        ]
        m.d.sync += [
            came.act_write.eq(front.act_write),
            came.act_row.eq(front.act_row),
            came.act_addr.eq(front.act_addr),
        ]
        work = Signal(Work(cfg))
        t = requantiser.o
        m.d.comb += [
            work.eq(came),
            t.ready.eq(~came.valid & ~came.act_write),
            drain.grant.eq(drain.request & ~ends),
            work.drain.eq(drain.grant),
            front.written.eq(t.valid & t.ready & t.p.last),
        ]
        with m.If(t.valid & t.ready):
            m.d.comb += [
                work.word[-cfg.stream_bits :].eq(t.p.word),
                work.act_write.eq(1),
                work.act_row.eq(t.p.row),
                work.act_addr.eq(t.p.addr),
            ]
        ready = Signal(Work(cfg), reset_less=True)
        m.d.sync += ready.eq(work)
        token = Signal(Token(cfg))
        m.d.comb += [
            token.work.eq(ready),
            token.work.drain_row.eq(drain.row),
            token.fill.eq(loader.fill),
            token.step.eq(loader.step),
        ]
        with m.If(ready.drain):
            m.d.comb += token.work.tile.eq(drain.tile)
        # The rows are not reset themselves: under reset they end what they had begun, and write the
        # tables' entry 0, which no slice does.
        share = Signal.like(token.step.share, reset_less=True)
        with m.If(ResetSignal()):
            m.d.comb += [
                token.work.valid.eq(1),
                token.work.last.eq(1),
                token.step.valid.eq(1),
                token.step.last.eq(1),
                token.step.zero.eq(1),
                token.step.entry.eq(0),
                token.step.share.eq(share),
            ]
            m.d.sync += share.eq(Mux(share == cfg.table_share - 1, 0, share + 1))
        if cfg.scale_bits:
            m.submodules.scales = scales = ScaleMemory(cfg)
            wiring.connect(m, front.scales, scales.i)
            m.d.comb += [
                scales.start.eq((front.walk | walker.regroup) & (segments.scaled_tiles != 0)),
                scales.tiles.eq(segments.scaled_tiles),
                scales.step.eq(walker.work.valid & walker.work.last),
                scales.scaled.eq(segments.entry.scaled),
                scales.rewind.eq(walker.release),
            ]
            # The word takes two cycles to the token, and the element then makes its sum.
            scale = delayed(m, scales.scale, 2 + element(cfg).latency - SCALE_LATENCY, "scale")
            m.d.comb += token.scales.eq(scale)

        m.submodules.rows = rows = Rows(cfg)
        m.d.comb += [rows.i.eq(token), drain.result.eq(rows.result)]

        m.d.comb += [
            counters.activity.eq(front.activity),
            counters.blocked.eq(outlet.o.valid & ~outlet.o.ready),
            self.counters.eq(counters.count),
            self.error.eq(front.error),
            self.commands.eq(front.commands),
        ]
        m.d.sync += self.busy.eq(front.busy | self.o.valid)

        return m
