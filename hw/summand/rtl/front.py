"""The engine's front: takes commands one after another and sets the rest to work."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig, ErrorCode
from summand.isa.header import Op, operations
from summand.isa.packets import Kind, status_packet_bytes
from summand.isa.rounding import ceil_log2
from summand.rtl import encodings
from summand.rtl.borders import BorderPort
from summand.rtl.counters import Activity, CountDown
from summand.rtl.drain import DrainPort
from summand.rtl.elements.ports import PreparePort
from summand.rtl.gemms import GemmReader
from summand.rtl.headers import HeaderReader
from summand.rtl.loads import LoadPlacer, LoadPort
from summand.rtl.machine import Machine, Orders
from summand.rtl.operand import StoredPort
from summand.rtl.packets import PacketPort
from summand.rtl.parameters import ParameterReader
from summand.rtl.requantise import RequantisePort
from summand.rtl.segments import SegmentPort
from summand.rtl.targets import TargetGuard
from summand.rtl.walker import WalkPort

__all__ = ["Front"]


class Front(wiring.Component):
    """Take a command's header, check it, and take or pass on its payload.

    Commands are taken in order. A STORE, a REQUANTISE or a CAST goes on in the background; a
    command that needs its accumulators or what it writes waits here. An order begins in the cycle
    after it was given and comes from a register, because it goes to many flip-flops; the header is
    still steady then.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(stream.Signature(stream_bits))``
        The input stream.
    planes : ``Out(stream.Signature(stream_bits))``
        Beats of a GEMM's words.
    scales : ``Out(stream.Signature(stream_bits))``
        Beats of a GEMM's scales. They come before words whenever the receiver is ready.
    load : ``Out(LoadPort)``
        Where the beat at :attr:`planes` goes if it holds activations.
    segments : ``Out(SegmentPort)``
        A GEMM's segment table, and the verdict on it.
    borders : ``Out(BorderPort)``
        A GEMM's borders, and the verdict on them; only in an engine with borders.
    prepare : ``Out(PreparePort)``
        A GEMM's slices, for the element that multiplies.
    walk : ``Out(WalkPort)``
        A GEMM's walk, once its segments have been found good and free.
    stored : ``Out(StoredPort)``
        A walk over words of the operand; only in an engine with one.
    requantise : ``Out(RequantisePort)``
        A REQUANTISE's or a CAST's parameters, and where its results go.
    drain : ``Out(DrainPort)``
        Accumulators to read, of a STORE, a REQUANTISE or a CAST.
    to_acts : ``Out(1)``
        What is drained is requantised; else it goes into a packet.
    limbs : ``Out(range(acc_limbs + 1))``
        Of a STORE, in the cycle in which accumulators begin to be read; only with ``limb_bits``.
    extremes, least : ``Out(1)``
        It sends extremes of bins, and these are the least, in the same cycle; only with
        ``bin_tiles``.
    packets : ``Out(PacketPort)``
        Packets to write.
    activity : ``Out(Activity)``
        What this cycle was spent on.
    busy : ``Out(1)``
        A command is being done.
    error : ``Out(8)``
        Error code, 0 while all is well. It is taken one cycle after the failure, which keeps late
        checks off the critical path.
    commands : ``Out(32)``
        Commands started.
    """

    i: stream.Interface
    planes: stream.Interface
    scales: stream.Interface

    load: Any
    segments: Any
    borders: Any
    prepare: Any
    walk: Any
    stored: Any
    requantise: Any
    drain: Any
    to_acts: Signal
    limbs: Signal
    extremes: Signal
    least: Signal
    packets: Any
    activity: Any
    busy: Signal
    error: Signal
    commands: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        beats = stream.Signature(config.stream_bits)
        super().__init__(
            {
                "i": In(beats),
                "planes": Out(beats),
                "scales": Out(beats),
                "load": Out(LoadPort(config)),
                "segments": Out(SegmentPort(config)),
                **({"borders": Out(BorderPort())} if config.border_shift else {}),
                "prepare": Out(PreparePort(config)),
                "walk": Out(WalkPort(config)),
                **({"stored": Out(StoredPort())} if config.operand_depth else {}),
                "requantise": Out(RequantisePort(config)),
                "drain": Out(DrainPort(config)),
                "to_acts": Out(1),
                **({"limbs": Out(range(config.acc_limbs + 1))} if config.limb_bits else {}),
                **({"extremes": Out(1), "least": Out(1)} if config.bin_tiles else {}),
                "packets": Out(PacketPort()),
                "activity": Out(Activity()),
                "busy": Out(1),
                "error": Out(8),
                "commands": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        m.submodules.reader = reader = HeaderReader(cfg)
        m.submodules.left = left = CountDown(32)  # beats of payload to come
        m.submodules.placer = placer = LoadPlacer(cfg)
        m.submodules.gemm = gemm = GemmReader(cfg)
        m.submodules.parameters = parameters = ParameterReader(cfg)
        m.submodules.guard = guard = TargetGuard(cfg)
        header = reader.header
        machine = Machine(m=m, offered=self.i.valid, activity=self.activity)
        begun = Signal(Orders())
        m.d.sync += begun.eq(machine.orders)

        # All parts look at the input; each says from its own registers whether it takes a beat.
        walking = Signal()
        landing = guard.acts if cfg.operand_depth else self.to_acts
        taken = machine.opened | (machine.loading & ~landing)
        m.d.comb += [
            walking.eq(self.walk.walking & ~left.none),
            self.planes.valid.eq(self.i.valid & walking & ~self.scales.ready),
            self.planes.payload.eq(self.i.payload),
            self.i.ready.eq(
                taken
                | gemm.i.ready
                | parameters.i.ready
                | (walking & (self.scales.ready | self.planes.ready))
            ),
            left.value.eq(header.length),
            left.step.eq(self.i.valid & self.i.ready),
            reader.beat.eq(self.i.payload),
            reader.valid.eq(self.i.valid),
            self.commands.eq(reader.commands),
        ]
        for port in (self.scales, gemm.i, parameters.i):
            m.d.comb += [port.payload.eq(self.i.payload), port.valid.eq(self.i.valid)]

        m.d.comb += [
            placer.first.eq(self.prepare.addr),
            placer.slices.eq(header.b),
            placer.step.eq(self.load.write),
            placer.last.eq(left.one),
            self.load.write.eq(machine.loading & ~landing & self.i.valid),
            self.load.row.eq(placer.row),
            self.load.addr.eq(placer.addr),
            gemm.header.eq(header),
            gemm.reach.eq(reader.reach),
            gemm.begin.eq(begun.gemm),
            gemm.begin_walk.eq(begun.walk),
            gemm.begin_drain.eq(begun.drain),
        ]
        wiring.connect(m, gemm.segments, wiring.flipped(self.segments))
        if cfg.border_shift:
            wiring.connect(m, gemm.borders, wiring.flipped(self.borders))
        wiring.connect(m, gemm.prepare, wiring.flipped(self.prepare))
        wiring.connect(m, gemm.walk, wiring.flipped(self.walk))
        if cfg.operand_depth:
            m.d.comb += [
                self.stored.start.eq(begun.walk & header.flags[-1]),
                self.stored.stop.eq(self.walk.done),
                self.stored.first.eq(header.d),
                self.requantise.casts.eq(reader.op.CAST),
                self.requantise.cast.planes.eq(header.c[8:]),
                self.requantise.cast.lane.eq(header.flags),
                self.requantise.cast.word.eq(header.d),
                guard.cast.eq(reader.op.CAST),
                guard.stored.eq(header.flags[-1]),
            ]

        m.d.comb += [
            parameters.start.eq(begun.requantise),
            parameters.features.eq(header.b * cfg.cols),
            guard.header.eq(header),
            guard.reach.eq(reader.reach),
            guard.take.eq(begun.requantise),
            guard.written.eq(self.requantise.written),
            self.to_acts.eq(guard.busy),
            self.requantise.start.eq(begun.requantise),
            self.requantise.addr.eq(header.d * cfg.slice_words),
            self.requantise.param.eq(parameters.param),
            self.requantise.param_valid.eq(parameters.param_valid),
            self.drain.start.eq(begun.drain),
            self.drain.order.tile.eq(header.a),
            self.drain.order.tiles.eq(header.b),
            self.drain.order.rows.eq(header.c),
            self.drain.order.reads.eq(reader.area),
        ]

        # `idle` is registered because of its fan-out, so it lags by one cycle. That is safe: no
        # background job starts in the cycle before it is tested.
        working = self.to_acts | self.packets.busy | self.drain.reading
        idle = Signal()
        failed = Signal()
        m.d.sync += [idle.eq(~working), self.error.eq(Mux(failed, machine.code, 0))]
        self._order_packet(m, reader, machine.code, failed, begun)

        m.d.comb += self.busy.eq(1)
        with m.FSM():
            self._header_states(machine, reader, left, working)
            self._load_state(machine, left, landing)
            self._gemm_states(machine, left, gemm, guard, begun, header)
            self._requantise_states(machine, parameters, guard, begun, idle)
            with m.State("STORE"):
                with m.If(idle):
                    machine.order("packet")
                    machine.order("drain")
                    machine.enter("HEADER")
                with m.Else():
                    machine.wait()
            with m.State("FENCE"):
                machine.send_status(idle, "HEADER")
            with m.State("FAIL"):
                m.d.comb += failed.eq(1)
                machine.send_status(idle, "DEAD")
            with m.State("DEAD"):
                m.d.comb += [failed.eq(1), self.activity.stream.eq(1), self.busy.eq(working)]

        return m

    def _order_packet(
        self, m: Module, reader: HeaderReader, code: Signal, failed: Signal, begun: Any
    ) -> None:
        """Say what the next packet is: a STORE's or a status; a refused command's has no tag."""
        cfg = self.config
        failing = Signal()
        m.d.sync += failing.eq(failed)
        stores = reader.op.STORE & ~failing
        if cfg.limb_bits:
            m.d.comb += self.limbs.eq(reader.header.flags)
            # Adders with registers between them, because Yosys makes more cells of a sum of sums.
            parts = [Mux(bit, reader.area, 0) << n for n, bit in enumerate(self.limbs)]
            pieces = Signal(len(reader.area) + len(self.limbs))
            few, many = Signal.like(pieces), Signal.like(pieces)
            m.d.sync += [
                few.eq(parts[0] + parts[1]),
                many.eq(sum(parts[2:], C(0))),
                pieces.eq(few + many),
            ]
            per_beat = cfg.stream_bits // (cfg.cols * cfg.limb_bits)
            stored = (pieces + per_beat - 1) >> (per_beat.bit_length() - 1)
        else:
            bytes_stored = reader.area * (cfg.cols * 4)
            stored = (bytes_stored + cfg.beat_bytes - 1) >> (cfg.beat_bytes.bit_length() - 1)
        if cfg.bin_tiles:
            m.d.comb += Cat(self.least, self.extremes).eq(reader.header.flags[-2:])
            bins = reader.area >> ceil_log2(cfg.bin_tiles)
            stored = Mux(self.extremes, bins * cfg.header_beats, stored)
        status_beats = status_packet_bytes(cfg) // cfg.beat_bytes - cfg.header_beats
        header, order = reader.header, self.packets.order
        m.d.comb += [
            self.packets.start.eq(begun.packet),
            order.kind.eq(Mux(stores, Kind.DATA, Kind.STATUS)),
            order.status.eq(code),
            order.tag.eq(Mux(failing, 0, Mux(stores, header.d, header.a))),
            order.length.eq(Mux(stores, stored, status_beats)),
            order.command.eq(self.commands - 1),
        ]

    def _header_states(
        self, machine: Machine, reader: HeaderReader, left: CountDown, working: Value
    ) -> None:
        m = machine.m
        with m.State("HEADER"):
            m.d.comb += [
                reader.take.eq(1),
                self.busy.eq(self.i.valid | reader.partial | working),
            ]
            machine.starve()
            with m.If(reader.whole):
                machine.enter("DECODE")

        with m.State("DECODE"):
            m.d.comb += left.start.eq(reader.decoded)
            m.d.sync += machine.code.eq(reader.error)
            with m.If(reader.decoded):
                for op in operations(self.config):
                    with m.If(reader.op[op.name]):  # a CAST begins as a REQUANTISE does
                        machine.enter(Op.REQUANTISE.name if op == Op.CAST else op.name)
                with m.If(reader.error != 0):
                    machine.enter("FAIL")

    def _load_state(self, machine: Machine, left: CountDown, landing: Value) -> None:
        m = machine.m
        with m.State("LOAD"):
            with m.If(landing):
                machine.wait()
            with m.Else():
                machine.load_beat()
                with m.If(self.i.valid & left.one):
                    machine.enter("HEADER")

    def _gemm_states(
        self,
        machine: Machine,
        left: CountDown,
        gemm: GemmReader,
        guard: TargetGuard,
        begun: Any,
        header: Any,
    ) -> None:
        m = machine.m
        error = self.segments.error
        if self.config.border_shift:
            bad_border = (error == 0) & self.borders.refused
            error = Mux(bad_border, ErrorCode.RESERVED, error)
        # Where beats are read ahead, all have been taken before the walk is done.
        ahead = encodings.parts(self.config).ahead
        wanted = self.planes.ready | self.scales.ready
        with m.State("GEMM"):
            with m.If(guard.conflict):
                machine.wait()
            with m.Else():
                machine.order("gemm")
                machine.enter("SEGMENTS")

        with m.State("SEGMENTS"):
            m.d.sync += machine.code.eq(error)
            with m.If(gemm.taking):
                machine.starve()
            with m.Elif(begun.gemm | ~gemm.checked):
                pass
            with m.Elif(error != 0):
                machine.enter("FAIL")
            with m.Elif(self.drain.reading & self.segments.conflict):
                machine.wait()
            with m.Else():
                machine.order("walk")
                machine.enter("WALK")

        with m.State("WALK"):
            code = ErrorCode.LENGTH
            fails = left.none & wanted if ahead else left.none
            if self.config.operand_depth:
                code = Mux(header.flags[-1], ErrorCode.OPERAND, code)
                fails = Mux(header.flags[-1], self.stored.past, fails)
            m.d.sync += machine.code.eq(code)
            with m.If(fails):
                machine.enter("FAIL")
            with m.Elif(begun.walk):
                pass
            with m.Elif(self.scales.ready):
                machine.load_beat()
            if self.config.operand_depth:
                with m.Elif(header.flags[-1]):
                    machine.stored_word(self.stored.taken)
                    with m.If(self.walk.done):
                        machine.enter("HEADER")
            with m.Else():
                machine.word(self.planes.ready)
                with m.If(self.walk.done):
                    machine.enter("HEADER")
                    with m.If(~(left.none if ahead else left.one)):
                        machine.enter("FAIL")

    def _requantise_states(
        self,
        machine: Machine,
        parameters: ParameterReader,
        guard: TargetGuard,
        begun: Any,
        idle: Signal,
    ) -> None:
        m = machine.m
        with m.State("REQUANTISE"):
            with m.If(idle):
                machine.order("requantise")
                machine.enter("PARAMETERS")
            with m.Else():
                machine.wait()

        with m.State("PARAMETERS"):
            with m.If(parameters.taking):
                machine.load_beat()
            with m.Else():
                m.d.sync += machine.code.eq(ErrorCode.REQUANTISE)
                checked = parameters.checked & ~begun.requantise
                with m.If(checked & parameters.bad):
                    machine.enter("FAIL")
                with m.Elif(checked):
                    machine.order("drain")
                    m.d.comb += guard.begin.eq(1)
                    machine.enter("HEADER")
