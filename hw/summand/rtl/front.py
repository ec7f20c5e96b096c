"""The engine's front: takes commands one after another and sets the rest to work."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.header import Op
from summand.isa.limits import SEGMENTS
from summand.isa.packets import Kind, status_packet_bytes
from summand.isa.structure import act_addr_bits, row_bits
from summand.rtl.compare import exceeds
from summand.rtl.counters import Activity, CountDown
from summand.rtl.decoder import Decoder, HeaderLayout
from summand.rtl.delay import delayed
from summand.rtl.drain import DrainOrder
from summand.rtl.items import ItemReader
from summand.rtl.packets import PacketOrder
from summand.rtl.parameters import Parameter, ParameterReader
from summand.rtl.segments import Descriptor
from summand.rtl.states import States

__all__ = ["Front"]

#: Members that set the rest to work.
_ORDERS = ("begin", "walk", "requantise", "drain", "packet")


class Front(wiring.Component):
    """Take a command's header, check it, and take or pass on its payload.

    Commands are taken in order. A STORE or a REQUANTISE goes on in the background; what needs its
    accumulators or its activations waits here.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(stream.Signature(stream_bits))``
        The input stream.
    planes : ``Out(stream.Signature(stream_bits))``
        Beats of plane words.
    param, param_valid : ``Out(Parameter)``, ``Out(1)``
        Requantise parameters.
    act_write, act_row, act_addr : ``Out``
        The beat now at ``planes`` is a LOAD's: where its activations go.
    begin, segment, segment_valid, segment_last : ``Out``
        A GEMM is accepted: read its tables' activations from ``source`` on, take its segments.
    segments_checked, segment_error, conflict : ``In``
        From the segment table.
    source, slices, group : ``Out``
        Of the GEMM: first activation word, number of slices, and slices that share scales.
    scales : ``Out(stream.Signature(stream_bits))``
        Beats of scales; they are wanted when ready.
    walk : ``Out(1)``
        Its segments are good and free: words follow.
    walking : ``In(1)``
        They are wanted.
    done : ``In(1)``
        Its last word goes in this cycle.
    requantise : ``Out(1)``
        Parameters follow, for activations from word ``target`` on.
    drain, drain_order : ``Out(1)``, ``Out(DrainOrder)``
        Read accumulators, for :attr:`to_acts` or for the packet begun in this cycle.
    drain_low, drain_high : ``Out``
        The tiles of the order before, for conflicts.
    to_acts : ``Out(1)``
        A REQUANTISE is going on.
    reading : ``In(1)``
        The drain still reads accumulators.
    written : ``In(1)``
        A REQUANTISE's last word goes to the activation memory in this cycle.
    packet, packet_order : ``Out(1)``, ``Out(PacketOrder)``
        Begin a packet.
    packet_busy : ``In(1)``
        A packet is being written.
    activity : ``Out(Activity)``
        What this cycle was spent on.
    busy, error, commands : ``Out``
        For the registers.
    """

    i: stream.Interface
    planes: stream.Interface
    scales: stream.Interface

    param: Any
    param_valid: Signal
    act_write: Signal
    act_row: Signal
    act_addr: Signal
    begin: Signal
    segment: Any
    segment_valid: Signal
    segment_last: Signal
    segments_checked: Signal
    segment_error: Signal
    conflict: Signal
    source: Signal
    slices: Signal
    group: Signal
    walk: Signal
    walking: Signal
    done: Signal
    requantise: Signal
    target: Signal
    drain: Signal
    drain_order: Any
    drain_low: Signal
    drain_high: Signal
    to_acts: Signal
    reading: Signal
    written: Signal
    packet: Signal
    packet_order: Any
    packet_busy: Signal
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
                "param": Out(Parameter()),
                "param_valid": Out(1),
                "act_write": Out(1),
                "act_row": Out(row_bits(config)),
                "act_addr": Out(act_addr_bits(config)),
                "begin": Out(1),
                "segment": Out(Descriptor()),
                "segment_valid": Out(1),
                "segment_last": Out(1),
                "segments_checked": In(1),
                "segment_error": In(8),
                "conflict": In(1),
                "source": Out(act_addr_bits(config)),
                "slices": Out(range(config.act_depth + 1)),
                "group": Out(range(config.act_depth + 1)),
                "walk": Out(1),
                "walking": In(1),
                "done": In(1),
                "requantise": Out(1),
                "target": Out(act_addr_bits(config)),
                "drain": Out(1),
                "drain_order": Out(DrainOrder(config)),
                "drain_low": Out(range(config.acc_depth + 1)),
                "drain_high": Out(range(config.acc_depth + 1)),
                "to_acts": Out(1),
                "reading": In(1),
                "written": In(1),
                "packet": Out(1),
                "packet_order": Out(PacketOrder()),
                "packet_busy": In(1),
                "activity": Out(Activity()),
                "busy": Out(1),
                "error": Out(8),
                "commands": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        m.submodules.decoder = decoder = Decoder(cfg)
        m.submodules.left = left = CountDown(32)  # beats of payload to come
        m.submodules.descriptors = descriptors = ItemReader(
            Descriptor(), width=cfg.stream_bits, most=SEGMENTS.high
        )
        m.submodules.parameters = parameters = ParameterReader(cfg)
        header = Signal(HeaderLayout(), reset_less=True)
        code = Signal(8)  # why the engine will stop
        # What begins in the next cycle, in which the header still stands. From registers: orders
        # go far, and what they depend on is known late.
        begins = Signal(data.StructLayout(dict.fromkeys(_ORDERS, 1)))
        m.d.sync += [getattr(self, name).eq(begins[name]) for name in _ORDERS]
        failed = Signal()
        idle = Signal()
        states = States(
            front=self,
            m=m,
            header=header,
            left=left,
            begins=begins,
            code=code,
            idle=idle,
        )
        failing = Signal()
        walking = Signal()
        stores = decoder.op.STORE & ~failing
        bytes_stored = decoder.area * (cfg.cols * 4)
        stored = (bytes_stored + cfg.beat_bytes - 1) >> (cfg.beat_bytes.bit_length() - 1)
        status_beats = status_packet_bytes(cfg) // cfg.beat_bytes - cfg.header_beats
        m.d.sync += failing.eq(failed)

        m.d.comb += [
            decoder.header.eq(header),
            self.source.eq(header.a * cfg.slice_words),
            self.slices.eq(header.b),
            self.target.eq(header.d * cfg.slice_words),
            self.drain_order.tile.eq(header.a),
            self.drain_order.tiles.eq(header.b),
            self.drain_order.rows.eq(header.c),
            self.drain_order.reads.eq(decoder.area),
            # Who takes beats knows it by itself: the machine's state is known later in the cycle.
            walking.eq(self.walking & ~left.none),
            self.planes.valid.eq(self.i.valid & walking & ~self.scales.ready),
            self.i.ready.eq(
                states.taken
                | descriptors.i.ready
                | parameters.i.ready
                | (walking & (self.scales.ready | self.planes.ready))
            ),
            left.value.eq(header.length),
            left.step.eq(self.i.valid & self.i.ready),
            # Of a command that was refused only the code is told.
            self.packet_order.kind.eq(Mux(stores, Kind.DATA, Kind.STATUS)),
            self.packet_order.status.eq(code),
            self.packet_order.tag.eq(Mux(failing, 0, Mux(stores, header.d, header.a))),
            self.packet_order.length.eq(Mux(stores, stored, status_beats)),
            self.packet_order.command.eq(self.commands - 1),
            self.busy.eq(1),
        ]
        for port in (self.planes, self.scales, descriptors.i, parameters.i):
            m.d.comb += port.payload.eq(self.i.payload)
        for port in (self.scales, descriptors.i, parameters.i):
            m.d.comb += port.valid.eq(self.i.valid)

        with m.If(self.drain):
            m.d.sync += [
                self.drain_low.eq(header.a),
                self.drain_high.eq(decoder.reach),
            ]

        # A REQUANTISE writes slices `t_low` to `t_high`. Its last word is in the memory before any
        # read that starts two cycles after it was written.
        t_low = Signal(range(cfg.act_depth + 1))
        t_high = Signal(range(cfg.act_depth + 1))
        t_slices = Signal.like(t_high)
        t_end = Signal.like(t_high)  # of the REQUANTISE whose header stands, if it is one
        depth_bits = cfg.depth.bit_length() - 1
        m.d.sync += [
            t_slices.eq((header.b * cfg.cols + cfg.depth - 1) >> depth_bits),
            t_end.eq(header.d + t_slices),
        ]
        with m.If(self.requantise):
            m.d.sync += [t_low.eq(header.d), t_high.eq(t_end)]
        landing = Signal(2)
        m.d.sync += landing.eq(Cat(self.written, landing))
        with m.If(landing[-1]):
            m.d.sync += self.to_acts.eq(0)
        t_conflict = Signal()  # a cycle late: a REQUANTISE cannot begin just before a GEMM
        overlap = Signal(2)  # the header has stood still for longer
        m.d.sync += [
            overlap.eq(Cat(header.a < t_high, decoder.reach > t_low)),
            t_conflict.eq(self.to_acts & overlap.all()),
        ]
        # What is waited for is known a cycle late too, being looked at by much. Nothing begins in
        # the cycle before it is asked for.
        working = self.to_acts | self.packet_busy | self.reading
        m.d.sync += idle.eq(~working)

        # The header has stood still for some cycles when these are looked at. A group that is
        # longer than any walk is as good as one that is just as long.
        last_word = Signal(act_addr_bits(cfg))
        m.d.sync += last_word.eq(header.b * cfg.slice_words - 1)
        all_slices = (header.d == 0) | exceeds(header.d, cfg.act_depth)
        m.d.sync += self.group.eq(Mux(all_slices, cfg.act_depth, header.d))

        whole = Signal()  # the header is whole with this beat
        decoded = delayed(m, whole, Decoder.LATENCY + 1, "decoded")
        begun = Signal()
        m.d.sync += [begun.eq(whole), self.commands.eq(self.commands + begun)]
        # Why is looked at a cycle late, so that no reason's end decides over all of it.
        m.d.sync += self.error.eq(Mux(failed, code, 0))
        states.place(last_word)
        with m.FSM():
            part = Signal(range(cfg.header_beats))
            with m.State("HEADER"):
                m.d.comb += [
                    self.busy.eq(self.i.valid | (part != 0) | working),
                    whole.eq(self.i.valid & (part == cfg.header_beats - 1)),
                ]
                m.d.comb += self.activity.stream.eq(~self.i.valid)
                # Whatever is there is taken down until it is a beat.
                for n in range(cfg.header_beats):
                    with m.If(part == n):
                        here = slice(n * cfg.stream_bits, (n + 1) * cfg.stream_bits)
                        m.d.sync += header.as_value()[here].eq(self.i.payload)
                with m.If(self.i.valid):
                    m.d.sync += part.eq(Mux(whole, 0, part + 1))
                with m.If(whole):
                    states.enter("DECODE")

            with m.State("DECODE"):
                m.d.comb += left.start.eq(decoded)
                m.d.sync += code.eq(decoder.error)
                with m.If(decoded):
                    for op in Op:
                        with m.If(decoder.op[op.name]):
                            states.enter(op.name)
                    with m.If(decoder.error != 0):
                        states.enter("FAIL")

            states.load()
            states.gemm(descriptors, t_conflict)
            states.requantise(parameters)

            with m.State("STORE"):
                with m.If(idle):
                    m.d.comb += [begins.packet.eq(1), begins.drain.eq(1)]
                    states.enter("HEADER")
                with m.Else():
                    states.wait()

            with m.State("FENCE"):
                states.status("HEADER")
            with m.State("FAIL"):
                m.d.comb += failed.eq(1)
                states.status("DEAD")
            with m.State("DEAD"):
                m.d.comb += [
                    failed.eq(1),
                    self.activity.stream.eq(1),
                    self.busy.eq(working),
                ]

        return m
