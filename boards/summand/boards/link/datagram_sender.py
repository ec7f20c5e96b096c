"""Puts frames into datagrams."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.boards.link.datagrams import (
    DATAGRAM_BYTES,
    DATAGRAM_HEADER_BYTES,
    WORD_BYTES,
    longest_frame,
)
from summand.boards.link.protocol import FLAG
from summand.boards.link.udp_port import LineLayout, UdpSink
from summand.isa.memory import EngineMemory, MemoryKind
from summand.rtl.fifo import CountedFifo

__all__ = ["DatagramSender"]

#: Words of frames that a datagram holds.
_WORDS = (DATAGRAM_BYTES - DATAGRAM_HEADER_BYTES) // WORD_BYTES

#: Words that wait inside: a datagram that is being sent, and one that is coming to be.
_BUFFER_WORDS = 1 << ceil_log2(2 * _WORDS)

#: Cycles after a frame in which another one joins it in its datagram.
_PATIENCE = 16

_NO_BYTES = int.from_bytes(bytes([FLAG] * WORD_BYTES), "little")


class DatagramSender(wiring.Component):
    """Send frames in datagrams, as many as fit for certain and come soon enough.

    Implements what the gateware sends by "Over UDP" in ``docs/link.md``. A datagram is begun when
    all of it is there, and then a word leaves in each cycle in which the network takes one.

    Parameters
    ----------
    frame_bytes : int
        Longest payload of a frame; if all of it are escapes, it still fits in a datagram.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Bytes of frames, with a flag at both ends of each.
    cut : ``In(1)``
        The frame that is coming in ends here, without its flag.
    line : ``In(LineLayout())``
        Where datagrams go.
    begins : ``In(1)``
        Count datagrams from 0.
    sink : ``Out(UdpSink())``
        Datagrams.
    """

    i: stream.Interface
    cut: Signal
    line: Any
    begins: Signal
    sink: Any

    def __init__(self, frame_bytes: int):
        self.frame_words = -(-longest_frame(frame_bytes) // WORD_BYTES)
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "cut": In(1),
                "line": In(LineLayout()),
                "begins": In(1),
                "sink": Out(UdpSink()),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.fifo = fifo = CountedFifo(
            EngineMemory(
                name="datagrams", kind=MemoryKind.BLOCK, width=8 * WORD_BYTES, depth=_BUFFER_WORDS
            )
        )
        due = Signal()  # a datagram is about to be sent
        due_words = Signal(range(_WORDS + 1))
        self._gather(m, fifo, due, due_words)
        self._send(m, fifo, due, due_words)

        return m

    def _gather(self, m: Module, fifo: CountedFifo, due: Signal, due_words: Signal) -> None:
        """Make words of bytes, a frame's end filled up with flags, and datagrams of frames."""
        waiting = Signal(range(_BUFFER_WORDS + 1))
        m.d.sync += waiting.eq(waiting + fifo.write - (fifo.o.valid & fifo.o.ready))

        within = Signal()  # a frame
        gathered = Signal(range(_WORDS + 1))  # words of the datagram that is coming to be
        idle = Signal(range(_PATIENCE))
        full, close = Signal(), Signal()
        m.d.comb += [
            full.eq(~within & (gathered > _WORDS - self.frame_words)),
            close.eq(~within & (gathered != 0) & ~due & (full | (idle == _PATIENCE - 1))),
            self.i.ready.eq(~full & ~close & (waiting != _BUFFER_WORDS)),
        ]

        word, place = Signal(8 * WORD_BYTES, init=_NO_BYTES), Signal(range(WORD_BYTES))
        flag = self.i.payload == FLAG
        moved = self.i.valid & self.i.ready
        m.d.comb += fifo.data.eq(word)
        with m.Switch(place):
            for n in range(WORD_BYTES):
                with m.Case(n):
                    m.d.comb += fifo.data.word_select(n, 8).eq(self.i.payload)
        m.d.comb += fifo.write.eq(moved & ((within & flag) | (place == WORD_BYTES - 1)))
        with m.If(moved):
            m.d.sync += [idle.eq(0), within.eq(within ^ flag), place.eq(place + 1)]
            m.d.sync += word.eq(fifo.data)
        with m.Elif(idle != _PATIENCE - 1):
            m.d.sync += idle.eq(idle + 1)
        with m.If(fifo.write):
            m.d.sync += [gathered.eq(gathered + 1), place.eq(0), word.eq(_NO_BYTES)]
        with m.If(close):
            m.d.sync += [gathered.eq(0), due.eq(1), due_words.eq(gathered)]
        with m.If(self.cut):
            m.d.sync += [within.eq(0), place.eq(0), word.eq(_NO_BYTES)]

    def _send(self, m: Module, fifo: CountedFifo, due: Signal, due_words: Signal) -> None:
        """Send what is due."""
        sink, line = self.sink, self.line
        sequence = Signal(32)
        header = Signal(8 * DATAGRAM_HEADER_BYTES)
        left = Signal(range(_WORDS + 1))
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    header.eq(Cat(sequence, line.number)),
                    left.eq(due_words),
                    sink.length.eq((due_words << ceil_log2(WORD_BYTES)) + DATAGRAM_HEADER_BYTES),
                    sink.ip_address.eq(line.ip_address),
                    sink.src_port.eq(line.own_port),
                    sink.dst_port.eq(line.host_port),
                ]
                with m.If(due):
                    m.d.sync += [due.eq(0), sequence.eq(sequence + 1)]
                    m.next = "SEQUENCE"
            for state, following in (("SEQUENCE", "LINE"), ("LINE", "FRAMES")):
                with m.State(state):
                    m.d.comb += [sink.valid.eq(1), sink.data.eq(header)]
                    with m.If(sink.ready):
                        m.d.sync += header.eq(header >> 8 * WORD_BYTES)
                        m.next = following
            with m.State("FRAMES"):
                m.d.comb += [
                    sink.valid.eq(fifo.o.valid),
                    fifo.o.ready.eq(sink.ready),
                    sink.data.eq(fifo.o.payload),
                    sink.last.eq(left == 1),
                    sink.last_be.eq(Mux(sink.last, 1 << (WORD_BYTES - 1), 0)),
                ]
                with m.If(sink.valid & sink.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(sink.last):
                        m.next = "IDLE"
        with m.If(self.begins):
            m.d.sync += sequence.eq(0)
