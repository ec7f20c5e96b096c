"""Which frames the gateware sends to the host, and when."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.frames import Job
from summand.boards.link.listener import Talk
from summand.boards.link.protocol import CRC_BYTES, PROTOCOL, FrameKind

__all__ = ["Talker"]


class Talker(wiring.Component):
    """Choose the next frame: HELLO before VALUE before DATA.

    A DATA frame is sent when there are bytes for the host, when an answer is due, and when a
    quarter of the receive buffer has become free since the last frame with the limit. The outbox
    is told what the host has only between frames.

    Parameters
    ----------
    receive_bytes, transmit_bytes, frame_bytes : int
        As in :class:`~summand.boards.link.link.LinkConfig`.

    Members
    -------
    talk : ``In(Talk())``
        Frames to send, and fields of their headers.
    accepted, limit : ``In(16)``
        From the inbox.
    position, available : ``In(16)``
        From the outbox.
    settle, rewind : ``Out(1)``
        To the outbox.
    idle : ``In(1)``
        From the sender.
    start : ``Out(1)``
        To the sender.
    job : ``Out(Job(frame_bytes))``
        To the sender.
    """

    talk: Any
    accepted: Signal
    limit: Signal
    position: Signal
    available: Signal
    settle: Signal
    rewind: Signal
    idle: Signal
    start: Signal
    job: Any

    def __init__(self, *, receive_bytes: int, transmit_bytes: int, frame_bytes: int):
        self.receive_bytes = receive_bytes
        self.transmit_bytes = transmit_bytes
        self.frame_bytes = frame_bytes
        super().__init__(
            {
                "talk": In(Talk()),
                "accepted": In(16),
                "limit": In(16),
                "position": In(16),
                "available": In(16),
                "settle": Out(1),
                "rewind": Out(1),
                "idle": In(1),
                "start": Out(1),
                "job": Out(Job(frame_bytes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        talk, header = self.talk, self.job.header

        hello, value, answer = Signal(), Signal(), Signal()  # frames that are due
        news, rewind = Signal(), Signal()  # not yet passed on to the outbox
        told = Signal(16)  # limit in the last frame sent
        freed = Signal(16)
        m.d.comb += [
            freed.eq(self.limit - told),
            self.rewind.eq(rewind),
            header.session.eq(talk.session),
            header.down_round.eq(talk.down_round),
            header.up_round.eq(talk.up_round),
        ]
        with m.If(freed >= self.receive_bytes // 4):
            m.d.sync += answer.eq(talk.session != 0)

        with m.If(self.idle):
            with m.If(hello):
                m.d.comb += [
                    self.start.eq(1),
                    header.kind.eq(FrameKind.HELLO),
                    header.tag.eq(PROTOCOL),
                    header.position.eq(self.frame_bytes),
                    header.accepted.eq(self.transmit_bytes),
                    header.limit.eq(self.receive_bytes - CRC_BYTES),
                ]
                m.d.sync += [hello.eq(0), told.eq(header.limit)]
            with m.Elif(value):
                m.d.comb += [
                    self.start.eq(1),
                    header.kind.eq(FrameKind.VALUE),
                    header.tag.eq(talk.tag),
                    Cat(header.position, header.accepted).eq(talk.value),
                    header.limit.eq(talk.offset),
                ]
                m.d.sync += value.eq(0)
            with m.Elif(news):
                m.d.comb += self.settle.eq(1)
                m.d.sync += [news.eq(0), rewind.eq(0)]
            with m.Elif(answer | (self.available != 0)):
                m.d.comb += [
                    self.start.eq(1),
                    header.kind.eq(FrameKind.DATA),
                    header.tag.eq(talk.gap),
                    header.position.eq(self.position),
                    header.accepted.eq(self.accepted),
                    header.limit.eq(self.limit),
                    self.job.length.eq(
                        Mux(
                            self.available > self.frame_bytes,
                            self.frame_bytes,
                            self.available,
                        )
                    ),
                ]
                m.d.sync += [answer.eq(0), told.eq(self.limit)]

        # A request of this cycle is kept although an earlier one is answered in the same cycle.
        for owed, came in (
            (hello, talk.hello),
            (value, talk.valued),
            (answer, talk.answer),
            (news, talk.news),
            (rewind, talk.rewind),
        ):
            with m.If(came):
                m.d.sync += owed.eq(1)
        with m.If(talk.hello):
            m.d.sync += [value.eq(0), answer.eq(0), news.eq(0), rewind.eq(0)]

        return m
