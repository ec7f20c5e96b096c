"""The engine: one input stream of commands, activations and weights; one output of results."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import SCALE_LATENCY
from summand.isa.structure import drain_room
from summand.rtl import elements, encodings
from summand.rtl.borders import BorderTable
from summand.rtl.counters import CountersLayout, CycleCounters
from summand.rtl.delay import delayed
from summand.rtl.drain import Drain
from summand.rtl.extremes import ExtremeFinder
from summand.rtl.front import Front
from summand.rtl.gearbox import ResultPacker
from summand.rtl.operand import OperandMemory
from summand.rtl.packets import PacketWriter
from summand.rtl.requantise import Requantiser
from summand.rtl.results import ResultRouter
from summand.rtl.rows import Rows
from summand.rtl.scales import ScaleMemory
from summand.rtl.segments import SegmentTable
from summand.rtl.slots import Slots
from summand.rtl.stream import Beat, StreamBuffer, StreamRegister
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
                                             -> operand -> walker

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
        A command is being done, or its results are leaving; lags by one cycle.
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
        """Return the cycles after which nothing is on its way and the element can be prepared."""
        return max(drain_room(config), element(config).reset)

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        m.submodules.inlet = inlet = StreamBuffer(cfg.stream_bits)
        m.submodules.outlet = outlet = StreamRegister(Beat(cfg.stream_bits))
        m.submodules.front = front = Front(cfg)
        m.submodules.gatherer = gatherer = encodings.parts(cfg).reader(cfg)
        m.submodules.segments = segments = SegmentTable(cfg)
        m.submodules.walker = walker = Walker(cfg)
        m.submodules.loader = loader = elements.parts(cfg).loader(cfg)
        m.submodules.drain = drain = Drain(cfg)
        m.submodules.router = router = ResultRouter(cfg)
        m.submodules.packer = packer = ResultPacker(cfg)
        m.submodules.requantiser = requantiser = Requantiser(cfg)
        m.submodules.packets = packets = PacketWriter(cfg)
        m.submodules.counters = counters = CycleCounters()
        m.submodules.slots = slots = Slots(cfg)
        m.submodules.rows = rows = Rows(cfg)

        # A command's way in, and a packet's way out.
        wiring.connect(m, wiring.flipped(self.i), inlet.i)
        wiring.connect(m, inlet.o, front.i)
        wiring.connect(m, front.packets, packets.orders)
        wiring.connect(m, packets.o, outlet.i)
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # A GEMM: the loader and the walker share its slices, segments and turns.
        wiring.connect(m, front.planes, gatherer.i)
        if cfg.operand_depth:
            self._connect_operand(m, front, gatherer, requantiser, walker)
        else:
            wiring.connect(m, gatherer.o, walker.words)
        wiring.connect(m, front.segments, segments.orders)
        wiring.connect(m, front.prepare, loader.orders)
        wiring.connect(m, front.walk, walker.orders)
        wiring.connect(m, walker.turn, loader.turn)
        wiring.connect(m, walker.ring, segments.ring)

        # STORE and REQUANTISE.
        wiring.connect(m, front.drain, drain.orders)
        wiring.connect(m, front.requantise, requantiser.orders)
        wiring.connect(m, drain.o, router.i)
        wiring.connect(m, router.acts, requantiser.i)
        if cfg.bin_tiles:
            self._connect_extremes(m, front, router, packer, packets)
        else:
            wiring.connect(m, router.packet, packer.i)
            wiring.connect(m, packer.o, packets.results)
        if cfg.limb_bits:
            m.d.comb += [packer.start.eq(front.drain.start), packer.limbs.eq(front.limbs)]

        # The rows, and what comes back.
        wiring.connect(m, front.load, slots.load)
        wiring.connect(m, requantiser.o, slots.activations)
        wiring.connect(m, drain.slots, slots.drain)
        m.d.comb += [
            router.to_acts.eq(front.to_acts),
            slots.words.eq(walker.work),
            slots.fill.eq(loader.fill),
            slots.step.eq(loader.step),
            rows.i.eq(slots.o),
            drain.result.eq(rows.result),
        ]
        if cfg.border_shift:
            m.submodules.borders = borders = BorderTable(cfg)
            wiring.connect(m, front.borders, borders.orders)
            m.d.comb += [
                borders.rewind.eq(front.walk.start),
                borders.step.eq(walker.turn.release),
                walker.border.eq(borders.shift),
            ]
        if cfg.scale_bits:
            self._connect_scales(m, front, segments, walker, slots)
        if encodings.parts(cfg).ahead:
            wiring.connect(m, gatherer.ring, segments.plan)
            m.d.comb += [
                gatherer.walks.start.eq(self._streamed_walk(front)),
                gatherer.walks.slices.eq(front.walk.slices),
                gatherer.walks.group.eq(front.walk.group),
                gatherer.walks.grouped.eq(segments.scaled_tiles != 0),
                gatherer.walks.regroup.eq(walker.regroup),
            ]

        m.d.comb += [
            counters.activity.eq(front.activity),
            counters.blocked.eq(outlet.o.valid & ~outlet.o.ready),
            packets.counters.eq(counters.count),
            self.counters.eq(counters.count),
            self.error.eq(front.error),
            self.commands.eq(front.commands),
        ]
        m.d.sync += self.busy.eq(front.busy | self.o.valid)

        return m

    def _connect_operand(
        self, m: Module, front: Front, gatherer: Any, requantiser: Requantiser, walker: Walker
    ) -> None:
        """Bring words of the stream or of the operand to the walker."""
        m.submodules.operand = operand = OperandMemory(self.config)
        streamed, stored, words = gatherer.o, operand.o, walker.words
        m.d.comb += [
            operand.orders.start.eq(front.stored.start),
            operand.orders.stop.eq(front.stored.stop),
            operand.orders.first.eq(front.stored.first),
            operand.write.eq(requantiser.operand),
            front.stored.taken.eq(
                walker.work.valid if element(self.config).planes == 1 else words.valid & words.ready
            ),
            front.stored.past.eq(operand.orders.past),
            # No word of the one comes in a walk over the other.
            words.valid.eq(streamed.valid | stored.valid),
            words.payload.eq(Mux(operand.reading, stored.payload, streamed.payload)),
            streamed.ready.eq(words.ready),
            stored.ready.eq(words.ready),
        ]

    def _connect_extremes(
        self,
        m: Module,
        front: Front,
        router: ResultRouter,
        packer: ResultPacker,
        packets: PacketWriter,
    ) -> None:
        """Bring tiles to a packet as they are, or two accumulators of each bin."""
        m.submodules.extremes = extremes = ExtremeFinder(self.config)
        wiring.connect(m, router.packet, extremes.i)
        wiring.connect(m, extremes.tiles, packer.i)
        wiring.connect(m, packer.o, extremes.beats)
        wiring.connect(m, extremes.o, packets.results)
        m.d.comb += [
            extremes.start.eq(front.drain.start),
            extremes.extremes.eq(front.extremes),
            extremes.least.eq(front.least),
        ]

    def _streamed_walk(self, front: Front) -> Value:
        """Return whether a walk begins whose words come from the stream."""
        start = front.walk.start
        return start & ~front.stored.start if self.config.operand_depth else start

    def _connect_scales(
        self, m: Module, front: Front, segments: SegmentTable, walker: Walker, slots: Slots
    ) -> None:
        """Bring each tile's scales to the token in whose cycle its sums are there."""
        cfg = self.config
        m.submodules.scales = scales = ScaleMemory(cfg)
        wiring.connect(m, front.scales, scales.i)
        m.d.comb += [
            scales.start.eq((front.walk.start | walker.regroup) & (segments.scaled_tiles != 0)),
            scales.tiles.eq(segments.scaled_tiles),
            scales.step.eq(walker.work.valid & walker.work.last),
            scales.scaled.eq(segments.ring.entry.scaled),
            scales.rewind.eq(walker.turn.release),
        ]
        # A word takes two cycles to the token, and the element then makes its sum.
        wait = 2 + element(cfg).turn + element(cfg).latency - SCALE_LATENCY
        m.d.comb += slots.scales.eq(delayed(m, scales.scale, wait, "scale"))
