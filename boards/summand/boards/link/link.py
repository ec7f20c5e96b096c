"""The gateware's end of the link."""

from dataclasses import asdict, dataclass
from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from summand.boards.link.frames import FrameReceiver, FrameSender
from summand.boards.link.framing import Deframer, Framer
from summand.boards.link.listener import Listener, RegisterAccess
from summand.boards.link.queues import CommitQueue, ReplayQueue
from summand.boards.link.talker import Talker
from summand.isa import ConfigError

__all__ = ["Link", "LinkConfig"]


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """Sizes of the gateware's buffers, bytes.

    Parameters
    ----------
    receive_bytes : int
        Buffer for the engine's input, a power of two, 64 to ``2**15``. If it holds less than the
        line carries while an acknowledgement travels, the line idles: 3 Mbaud and 16 ms are 4,800
        bytes.
    transmit_bytes : int
        Bytes sent ahead of acknowledgement, a power of two, 64 to ``2**15``. The host's serial
        driver should hold as many while the host does something else.
    frame_bytes : int
        Longest payload sent; the host's may be of any length up to ``receive_bytes - 4``.
    """

    receive_bytes: int = 8192
    transmit_bytes: int = 4096
    frame_bytes: int = 512

    def __post_init__(self):
        for name in ("receive_bytes", "transmit_bytes"):
            value = getattr(self, name)
            if not 64 <= value <= 1 << 15 or value & (value - 1):
                raise ConfigError(f"{name} must be a power of two, 64 to 32768, not {value}")
        if not 1 <= self.frame_bytes <= self.transmit_bytes:
            raise ConfigError(
                f"frame_bytes must be 1 to transmit_bytes ({self.transmit_bytes}), "
                f"not {self.frame_bytes}"
            )


class Link(wiring.Component):
    """Carry two byte streams and register accesses over a line that loses and damages bytes.

    Implements the gateware's side of ``docs/link.md``. It has no timers: it answers frames, sends
    the engine's output, and repeats bytes when the host asks for them. Only the host detects
    silence. ::

        i > deframer > receiver > inbox  > down (engine)
                           v
                        listener > registers
                           v
                        talker
                           v
        o < framer   < sender   < outbox < up   (engine)

    Parameters
    ----------
    config : :class:`LinkConfig`
        Buffer sizes.

    Members
    -------
    i : ``In(stream.Signature(8, always_ready=True))``
        Bytes off the line.
    o : ``Out(stream.Signature(8))``
        Bytes for the line.
    down : ``Out(stream.Signature(8))``
        The host's bytes for the engine.
    up : ``In(stream.Signature(8))``
        The engine's bytes for the host.
    registers : ``Out(RegisterAccess())``
        Register accesses.
    reset : ``Out(1)``
        High for one cycle when a session begins: reset the engine, and all between it and the link.
    """

    i: stream.Interface
    o: stream.Interface
    down: stream.Interface
    up: stream.Interface
    registers: Any
    reset: Signal

    def __init__(self, config: LinkConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
                "o": Out(stream.Signature(8)),
                "down": Out(stream.Signature(8)),
                "up": In(stream.Signature(8)),
                "registers": Out(RegisterAccess()),
                "reset": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        m.submodules.deframer = deframer = Deframer()
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.listener = listener = Listener()
        m.submodules.talker = talker = Talker(**asdict(cfg))
        # A new session cuts off the frame that is being sent: its bytes are gone.
        sender = FrameSender(cfg.frame_bytes)
        framer = Framer()
        m.submodules.sender = ResetInserter(self.reset)(sender)
        m.submodules.framer = ResetInserter(self.reset)(framer)
        inbox = CommitQueue(cfg.receive_bytes)
        outbox = ReplayQueue(cfg.transmit_bytes)
        m.submodules.inbox = ResetInserter(self.reset)(inbox)
        m.submodules.outbox = ResetInserter(self.reset)(outbox)

        connect(m, flipped(self.i), deframer.i)
        connect(m, deframer.o, receiver.i)
        connect(m, receiver.payload, inbox.i)
        connect(m, inbox.o, flipped(self.down))
        connect(m, listener.registers, flipped(self.registers))
        connect(m, listener.talk, talker.talk)
        connect(m, flipped(self.up), outbox.i)
        connect(m, outbox.o, sender.payload)
        connect(m, sender.o, framer.i)
        connect(m, framer.o, flipped(self.o))

        m.d.comb += [
            self.reset.eq(listener.talk.hello),
            listener.header.eq(receiver.header),
            listener.done.eq(receiver.done),
            listener.good.eq(receiver.good),
            listener.accepted.eq(inbox.accepted),
            listener.fits.eq(inbox.fits),
            inbox.commit.eq(listener.commit),
            inbox.drop.eq(listener.drop),
            talker.accepted.eq(inbox.accepted),
            talker.limit.eq(inbox.limit),
            talker.position.eq(outbox.position),
            talker.available.eq(outbox.available),
            outbox.settle.eq(talker.settle),
            outbox.rewind.eq(talker.rewind),
            outbox.heard.eq(listener.talk.heard),
            talker.idle.eq(sender.idle),
            sender.start.eq(talker.start),
            sender.job.eq(talker.job),
        ]

        return m
