"""Whole frames: their headers and checksums, received and sent."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from summand.boards.link.framing import FrameByte
from summand.boards.link.protocol import CRC_BYTES, HEADER_BYTES

__all__ = ["FrameReceiver", "FrameSender", "HeaderLayout", "Job"]


class HeaderLayout(data.StructLayout):
    """A frame's header; :class:`~summand.boards.link.protocol.Frame` describes each part."""

    def __init__(self):
        super().__init__(
            {
                "kind": 8,
                "session": 8,
                "down_round": 4,
                "up_round": 4,
                "tag": 8,
                "position": 16,
                "accepted": 16,
                "limit": 16,
            }
        )


class FrameReceiver(wiring.Component):
    """Split frames into header and payload and check them. One byte a cycle, no latency.

    The payload is passed on before its checksum is verified, and the checksum's bytes follow it.
    The consumer keeps these bytes aside until ``done``; then it drops the last four, or all of them
    if ``good`` is low. Empty frames are ignored.

    Members
    -------
    i : ``In(stream.Signature(FrameByte(), always_ready=True))``
        Bytes of frames.
    payload : ``Out(stream.Signature(8, always_ready=True))``
        Bytes after the header, checksum included.
    header : ``Out(HeaderLayout())``
        The header, when ``done``.
    done : ``Out(1)``
        A frame ends in this cycle.
    good : ``Out(1)``
        With ``done``: it is whole.
    """

    i: stream.Interface
    payload: stream.Interface
    header: Any
    done: Signal
    good: Signal

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(FrameByte(), always_ready=True)),
                "payload": Out(stream.Signature(8, always_ready=True)),
                "header": Out(HeaderLayout()),
                "done": Out(1),
                "good": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        crc: Any = CRC32_ISO_HDLC(8).create()
        m.submodules.crc = crc
        least = HEADER_BYTES + CRC_BYTES
        count = Signal(range(least + 1))  # bytes so far, counted up to `least`
        bits = Signal(HEADER_BYTES * 8)
        byte = self.i.valid & ~self.i.p.end
        in_payload = count >= HEADER_BYTES
        m.d.comb += [
            crc.start.eq(self.i.valid & self.i.p.end),
            crc.valid.eq(byte),
            crc.data.eq(self.i.p.data),
            self.payload.payload.eq(self.i.p.data),
            self.payload.valid.eq(byte & in_payload),
            self.header.as_value().eq(bits),
            self.done.eq(self.i.valid & self.i.p.end & (count != 0)),
            self.good.eq((count == least) & crc.match_detected),
        ]
        with m.If(byte):
            with m.If(~in_payload):
                m.d.sync += bits.eq(Cat(bits[8:], self.i.p.data))
            with m.If(count != least):
                m.d.sync += count.eq(count + 1)
        with m.Elif(self.i.valid):
            m.d.sync += count.eq(0)

        return m


class Job(data.StructLayout):
    """A frame to send.

    Members
    -------
    header : ``HeaderLayout()``
        Its header.
    length : ``range(longest + 1)``
        Bytes of its payload.
    """

    def __init__(self, longest: int):
        super().__init__({"header": HeaderLayout(), "length": range(longest + 1)})


class FrameSender(wiring.Component):
    """Send frames: header, payload, checksum. A byte a cycle, and two more cycles for each frame.

    Parameters
    ----------
    longest : int
        Longest payload, bytes.

    Members
    -------
    idle : ``Out(1)``
        The previous frame has left.
    start : ``In(1)``
        While ``idle``: send ``job``.
    job : ``In(Job(longest))``
        What to send.
    payload : ``In(stream.Signature(8))``
        Bytes of payloads; each frame takes ``length`` of them.
    o : ``Out(stream.Signature(FrameByte()))``
        Bytes of frames.
    """

    idle: Signal
    start: Signal
    job: Any
    payload: stream.Interface
    o: stream.Interface

    def __init__(self, longest: int):
        self.longest = longest
        super().__init__(
            {
                "idle": Out(1),
                "start": In(1),
                "job": In(Job(longest)),
                "payload": In(stream.Signature(8)),
                "o": Out(stream.Signature(FrameByte())),
            }
        )

    def elaborate(self, platform):
        m = Module()

        crc: Any = CRC32_ISO_HDLC(8).create()
        m.submodules.crc = crc
        bits = Signal(HEADER_BYTES * 8)  # header, then checksum; the next byte is lowest
        left = Signal(range(max(HEADER_BYTES, self.longest) + 1))
        length = Signal(range(self.longest + 1))
        moved = self.o.valid & self.o.ready
        m.d.comb += crc.data.eq(self.o.p.data)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.idle.eq(1), crc.start.eq(1)]
                m.d.sync += [
                    bits.eq(self.job.header.as_value()),
                    length.eq(self.job.length),
                    left.eq(HEADER_BYTES),
                ]
                with m.If(self.start):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [self.o.valid.eq(1), self.o.p.data.eq(bits[:8]), crc.valid.eq(moved)]
                with m.If(moved):
                    m.d.sync += [bits.eq(bits >> 8), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.d.sync += left.eq(length)
                        m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                with m.If(left == 0):
                    m.d.sync += [bits.eq(crc.crc), left.eq(CRC_BYTES)]
                    m.next = "CHECKSUM"
                with m.Else():
                    m.d.comb += [
                        self.o.valid.eq(self.payload.valid),
                        self.payload.ready.eq(self.o.ready),
                        self.o.p.data.eq(self.payload.payload),
                        crc.valid.eq(moved),
                    ]
                    with m.If(moved):
                        m.d.sync += left.eq(left - 1)
            with m.State("CHECKSUM"):
                m.d.comb += [self.o.valid.eq(1), self.o.p.data.eq(bits[:8])]
                with m.If(moved):
                    m.d.sync += [bits.eq(bits >> 8), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(1), self.o.p.end.eq(1)]
                with m.If(moved):
                    m.next = "IDLE"

        return m
