"""How the gateware acts on the frames that it receives."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.frames import HeaderLayout
from summand.boards.link.protocol import FrameKind

__all__ = ["Listener", "RegisterAccess", "Talk"]


class RegisterAccess(wiring.Signature):
    """One register access at a time.

    Members
    -------
    strobe : ``Out(1)``
        High for one cycle: begin an access.
    write : ``Out(1)``
        The access is a write. ``write``, ``offset`` and ``data`` are stable until the next
        ``strobe``.
    offset : ``Out(8)``
        Byte offset.
    data : ``Out(32)``
        The value to write.
    done : ``In(1)``
        High for one cycle, that of ``strobe`` or any later one: the access is finished.
    value : ``In(32)``
        With ``done``: the value read.
    """

    def __init__(self):
        super().__init__(
            {
                "strobe": Out(1),
                "write": Out(1),
                "offset": Out(8),
                "data": Out(32),
                "done": In(1),
                "value": In(32),
            }
        )


class Talk(wiring.Signature):
    """What the gateware has to report to the host, and what the host has reported.

    Members
    -------
    session : ``Out(8)``
        The session that is open, or 0.
    down_round, up_round : ``Out(4)``
        Rounds of retransmission, as the host last named them.
    gap : ``Out(1)``
        Bytes are missing after those accepted.
    tag : ``Out(8)``
        Of the last register access.
    offset : ``Out(8)``
        Of the last register access.
    value : ``Out(32)``
        Its result.
    heard : ``Out(16)``
        Position up to which the host has all bytes.
    hello, valued, answer : ``Out(1)``
        High for one cycle: send the host a HELLO, a VALUE, a DATA.
    news : ``Out(1)``
        High for one cycle: ``heard`` has a new value.
    rewind : ``Out(1)``
        High for one cycle: the host wants all bytes after ``heard`` again.
    """

    def __init__(self):
        super().__init__(
            {
                "session": Out(8),
                "down_round": Out(4),
                "up_round": Out(4),
                "gap": Out(1),
                "tag": Out(8),
                "offset": Out(8),
                "value": Out(32),
                "heard": Out(16),
                "hello": Out(1),
                "valued": Out(1),
                "answer": Out(1),
                "news": Out(1),
                "rewind": Out(1),
            }
        )


class Listener(wiring.Component):
    """Act on each frame as it ends: keep or drop its payload, note its header.

    All members of ``talk`` and ``registers`` come from flip-flops, one cycle after ``done``.
    A payload is kept if it begins exactly where the last kept payload ended; so none is kept twice,
    and none after a gap.

    Members
    -------
    header : ``In(HeaderLayout())``
        Header of the frame that ends.
    done, good : ``In(1)``
        From :class:`~summand.boards.link.frames.FrameReceiver`.
    accepted : ``In(16)``
        Position after the last byte kept.
    fits : ``In(1)``
        The whole payload found room.
    commit, drop : ``Out(1)``
        With ``done``: keep the payload, or forget it.
    registers : ``Out(RegisterAccess())``
        Register accesses; a request seen twice is carried out once.
    talk : ``Out(Talk())``
        Information for the :class:`~summand.boards.link.talker.Talker`.
    """

    header: Any
    done: Signal
    good: Signal
    accepted: Signal
    fits: Signal
    commit: Signal
    drop: Signal
    registers: Any
    talk: Any

    def __init__(self):
        super().__init__(
            {
                "header": In(HeaderLayout()),
                "done": In(1),
                "good": In(1),
                "accepted": In(16),
                "fits": In(1),
                "commit": Out(1),
                "drop": Out(1),
                "registers": Out(RegisterAccess()),
                "talk": Out(Talk()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        heard, talk, registers = self.header, self.talk, self.registers

        known = Signal()  # `talk.tag` is of this session
        ours = (heard.session == talk.session) & (talk.session != 0)
        for strobe in (talk.hello, talk.valued, talk.answer, talk.news, talk.rewind):
            m.d.sync += strobe.eq(0)
        m.d.sync += registers.strobe.eq(0)
        m.d.comb += self.drop.eq(self.done & ~self.commit)

        with m.If(self.done):
            with m.If(~self.good):
                m.d.sync += [talk.gap.eq(1), talk.answer.eq(talk.session != 0)]
            with m.Elif(heard.kind == FrameKind.OPEN):
                m.d.sync += [talk.hello.eq(1), talk.session.eq(heard.session), known.eq(0)]
                m.d.sync += [talk.gap.eq(0), talk.down_round.eq(0), talk.up_round.eq(0)]
            with m.Elif(~ours):
                m.d.sync += talk.answer.eq(1)  # the answer names the session that is open
            with m.Elif(heard.kind == FrameKind.DATA):
                ahead = Signal(16)
                m.d.comb += ahead.eq(heard.position - self.accepted)
                m.d.sync += [
                    talk.answer.eq(1),
                    talk.news.eq(1),
                    talk.heard.eq(heard.accepted),
                    talk.rewind.eq(heard.up_round != talk.up_round),
                    talk.up_round.eq(heard.up_round),
                    talk.down_round.eq(heard.down_round),
                ]
                # A position ahead of `accepted`: an earlier frame is missing. Behind: a repetition.
                with m.If(ahead == 0):
                    m.d.comb += self.commit.eq(self.fits)
                    m.d.sync += talk.gap.eq(~self.fits)
                with m.Elif(~ahead[-1]):
                    m.d.sync += talk.gap.eq(1)
                with m.Elif(heard.down_round != talk.down_round):
                    m.d.sync += talk.gap.eq(0)
            with m.Elif((heard.kind == FrameKind.READ) | (heard.kind == FrameKind.WRITE)):
                m.d.sync += [
                    known.eq(1),
                    talk.tag.eq(heard.tag),
                    registers.offset.eq(heard.limit),
                    registers.write.eq(heard.kind == FrameKind.WRITE),
                    registers.data.eq(Cat(heard.position, heard.accepted)),
                ]
                with m.If(known & (heard.tag == talk.tag)):
                    m.d.sync += talk.valued.eq(1)
                with m.Else():
                    m.d.sync += registers.strobe.eq(1)

        m.d.comb += talk.offset.eq(registers.offset)
        with m.If(registers.done):
            m.d.sync += [talk.value.eq(registers.value), talk.valued.eq(1)]

        return m
