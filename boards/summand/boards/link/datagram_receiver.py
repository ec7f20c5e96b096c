"""Takes datagrams apart, and drops late ones."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.datagrams import WORD_BYTES
from summand.boards.link.udp_port import LineLayout, UdpSource
from summand.isa.memory import EngineMemory, MemoryKind
from summand.rtl.feeds.byte_feed import BeatsToBytes
from summand.rtl.fifo import CountedFifo

__all__ = ["DatagramReceiver"]


class DatagramReceiver(wiring.Component):
    """Bring the frames of datagrams, in the order in which these were sent.

    Implements what the gateware receives by "Over UDP" in ``docs/link.md``. A word of a datagram
    goes in each cycle, whatever comes out, because a network cannot be made to wait; words that
    find no room are lost, and their frames come out damaged. A byte leaves in each cycle.

    Parameters
    ----------
    buffer_bytes : int
        Bytes that wait inside, a power of two.

    Members
    -------
    source : ``In(UdpSource())``
        Datagrams.
    o : ``Out(stream.Signature(8, always_ready=True))``
        Bytes of frames.
    line : ``Out(LineLayout())``
        The line, and where its last datagram that was taken came from.
    begins : ``Out(1)``
        High for one cycle: ``line`` is about to be another line.
    """

    source: Any
    o: stream.Interface
    line: Any
    begins: Signal

    def __init__(self, buffer_bytes: int):
        self.buffer_bytes = buffer_bytes
        super().__init__(
            {
                "source": In(UdpSource()),
                "o": Out(stream.Signature(8, always_ready=True)),
                "line": Out(LineLayout()),
                "begins": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        source, line = self.source, self.line

        words = self.buffer_bytes // WORD_BYTES
        m.submodules.fifo = fifo = CountedFifo(
            EngineMemory(name="datagrams", kind=MemoryKind.BLOCK, width=8 * WORD_BYTES, depth=words)
        )
        m.submodules.scatter = scatter = BeatsToBytes(8 * WORD_BYTES)
        waiting = Signal(range(words + 1))
        left = Signal()
        m.d.comb += [
            fifo.data.eq(source.data),
            scatter.i.p.data.eq(fifo.o.payload),
            scatter.i.valid.eq(fifo.o.valid),
            fifo.o.ready.eq(scatter.i.ready),
            left.eq(fifo.o.valid & fifo.o.ready),
            self.o.payload.eq(scatter.o.payload),
            self.o.valid.eq(scatter.o.valid),
            scatter.o.ready.eq(1),
        ]
        m.d.sync += waiting.eq(waiting + fifo.write - left)

        known = Signal()  # a line is open
        number = Signal.like(line.number)  # of this datagram
        sequence, latest = Signal(32), Signal(32)  # of this datagram, and of the last one taken
        ahead = Signal(32)
        ours, taken = Signal(), Signal()
        m.d.comb += [source.ready.eq(1), ahead.eq(sequence - latest)]
        with m.FSM():
            with m.State("SEQUENCE"):
                m.d.sync += sequence.eq(source.data)
                with m.If(source.valid & ~source.last):
                    m.next = "LINE"
            with m.State("LINE"):
                same = known & (source.data[: len(number)] == line.number)
                m.d.sync += [
                    number.eq(source.data),
                    ours.eq(same),
                    taken.eq(Mux(same, (ahead != 0) & ~ahead[-1], source.data[len(number)])),
                ]
                with m.If(source.valid):
                    m.next = "FRAMES"
                    with m.If(source.last):
                        m.next = "SEQUENCE"
            with m.State("FRAMES"):
                m.d.comb += fifo.write.eq(source.valid & taken & (waiting != words))
                with m.If(source.valid & source.last):
                    m.next = "SEQUENCE"
                    with m.If(taken & ~source.error):
                        m.d.comb += self.begins.eq(~ours)
                        m.d.sync += [
                            known.eq(1),
                            latest.eq(sequence),
                            line.number.eq(number),
                            line.ip_address.eq(source.ip_address),
                            line.host_port.eq(source.src_port),
                            line.own_port.eq(source.dst_port),
                        ]

        return m
