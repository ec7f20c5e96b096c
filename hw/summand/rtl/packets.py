"""The output stream: headers, results and completions."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.packets import Kind, status_packet_bytes
from summand.rtl.counters import CountersLayout
from summand.rtl.stream import Beat

__all__ = ["PacketOrder", "PacketPort", "PacketWriter"]


class PacketOrder(data.StructLayout):
    """A packet header in the order of its bytes; see :class:`summand.isa.packets.PacketHeader`."""

    def __init__(self):
        super().__init__({"kind": 8, "status": 8, "tag": 16, "length": 32, "command": 32})


class PacketPort(wiring.Signature):
    """Packets, as the front orders them.

    Members
    -------
    start : ``Out(1)``
        Begin a packet; only while not :attr:`busy`.
    order : ``Out(PacketOrder)``
        Its header, in the cycle of :attr:`start`.
    busy : ``In(1)``
        A packet is begun or being written.
    """

    def __init__(self):
        super().__init__({"start": Out(1), "order": Out(PacketOrder()), "busy": In(1)})


class PacketWriter(wiring.Component):
    """Write one packet for each order: its header, then results or counters. No cycle is lost.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    orders : ``In(PacketPort)``
        Packets to write.
    counters : ``In(CountersLayout)``
        Payload of a STATUS packet, in the cycle of its order.
    results : ``In(stream.Signature(Beat(stream_bits)))``
        Payload of a DATA packet.
    o : ``Out(stream.Signature(Beat(stream_bits)))``
        The output stream.
    """

    results: stream.Interface
    o: stream.Interface

    orders: Any
    counters: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        beat = stream.Signature(Beat(config.stream_bits))
        super().__init__(
            {
                "orders": In(PacketPort()),
                "counters": In(CountersLayout()),
                "results": In(beat),
                "o": Out(beat),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        order = Signal(PacketOrder(), reset_less=True)
        counters = Signal(CountersLayout(), reset_less=True)
        beats = status_packet_bytes(cfg) // cfg.beat_bytes
        header_bits = cfg.header_beats * cfg.stream_bits
        text = Signal(beats * cfg.stream_bits)
        m.d.comb += [text.eq(order), text[header_bits:].eq(counters)]

        index = Signal(range(beats))
        is_status = order.kind == Kind.STATUS
        # Chosen by a register alone, so that a bit takes one look-up table.
        in_results = Signal()
        words = text.word_select(index, cfg.stream_bits)
        m.d.comb += self.o.p.data.eq(Mux(in_results, self.results.p.data, words))
        final = Mux(is_status, beats - 1, cfg.header_beats - 1)
        with m.FSM():
            with m.State("IDLE"):
                # The registers follow their inputs until the start, so that `start` need not reach
                # their enables.
                m.d.comb += self.orders.busy.eq(self.orders.start)
                m.d.sync += [order.eq(self.orders.order), counters.eq(self.counters)]
                with m.If(self.orders.start):
                    m.next = "TEXT"
            with m.State("TEXT"):
                m.d.comb += [
                    self.orders.busy.eq(1),
                    self.o.valid.eq(1),
                    self.o.p.last.eq(is_status & (index == beats - 1)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == final):
                        m.d.sync += index.eq(0)
                        m.d.sync += in_results.eq(~is_status)
                        m.next = "RESULTS"
                        with m.If(is_status):
                            m.next = "IDLE"
            with m.State("RESULTS"):
                m.d.comb += [
                    self.orders.busy.eq(1),
                    self.o.valid.eq(self.results.valid),
                    self.o.p.last.eq(self.results.p.last),
                    self.results.ready.eq(self.o.ready),
                ]
                with m.If(self.o.valid & self.o.ready & self.o.p.last):
                    m.d.sync += in_results.eq(0)
                    m.next = "IDLE"

        return m
