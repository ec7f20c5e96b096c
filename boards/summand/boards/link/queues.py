"""Queues that keep bytes until they are safe: one commits them, one can repeat them."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.protocol import CRC_BYTES
from summand.rtl.ram import BlockRam

__all__ = ["CommitQueue", "ReplayQueue"]


def _read_ahead(m: Module, memory: BlockRam, o: Any, *, place: Any, end: Any, cut: Any) -> None:
    """Bring a memory's bytes from ``place`` up to ``end`` to ``o``, one a cycle.

    Parameters
    ----------
    m : Module
        Gets the logic.
    memory : BlockRam
        Bytes by their positions.
    o : interface of a stream of bytes
        The bytes.
    place : Signal
        Position of the next byte to be read; drives it, unless ``cut``.
    end : Value
        Position after the last byte there is.
    cut : Value
        Bytes that have been read and have not left are none of those that are wanted.
    """
    read = Signal()  # a byte is between the memory and its output register
    advance, some = Signal(), Signal()
    m.d.comb += [
        some.eq(place != end),
        advance.eq(~o.valid | o.ready),
        memory.read_en.eq(advance),
        memory.read_addr.eq(place[: len(memory.read_addr)]),
        o.payload.eq(memory.read_data),
    ]
    with m.If(cut):
        m.d.sync += [o.valid.eq(0), read.eq(0)]
    with m.Elif(advance):
        m.d.sync += [o.valid.eq(read), read.eq(some), place.eq(place + some)]


class CommitQueue(wiring.Component):
    """Hold received bytes back until their frame is known to be good.

    Positions count all bytes since reset, modulo ``2**16``. Bytes that find no room are lost, and
    ``fits`` falls until the frame is committed or dropped. A byte a cycle comes in and leaves.

    Parameters
    ----------
    depth : int
        Bytes, a power of two up to ``2**15``.

    Members
    -------
    i : ``In(stream.Signature(8, always_ready=True))``
        Payload bytes and the four of the checksum.
    commit : ``In(1)``
        Keep all bytes since the last commit or drop, except the four; only while ``fits``.
    drop : ``In(1)``
        Forget all bytes since the last commit or drop.
    fits : ``Out(1)``
        All bytes since the last commit or drop found room.
    accepted : ``Out(16)``
        Position after the last byte kept.
    limit : ``Out(16)``
        Position up to which there is room.
    o : ``Out(stream.Signature(8))``
        The bytes kept.
    """

    i: stream.Interface
    commit: Signal
    drop: Signal
    fits: Signal
    accepted: Signal
    limit: Signal
    o: stream.Interface

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
                "commit": In(1),
                "drop": In(1),
                "fits": Out(1),
                "accepted": Out(16),
                "limit": Out(16),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.memory = memory = BlockRam(width=8, depth=self.depth)
        address_bits = len(memory.write_addr)

        fetched = Signal(16)  # position of the byte at `o`
        written = Signal(16)  # position after the last byte written, kept or not
        lost = Signal()
        used = Signal(16)
        full = Signal()
        m.d.comb += [
            used.eq(written - fetched),
            full.eq(used == self.depth),
            self.fits.eq(~lost),
            self.limit.eq(fetched + (self.depth - CRC_BYTES)),
            memory.write_addr.eq(written[:address_bits]),
            memory.write_data.eq(self.i.payload),
            memory.write_en.eq(self.i.valid & ~full),
        ]
        with m.If(self.commit):
            kept = Signal(16)
            m.d.comb += kept.eq(written - CRC_BYTES)
            m.d.sync += [self.accepted.eq(kept), written.eq(kept), lost.eq(0)]
        with m.Elif(self.drop):
            m.d.sync += [written.eq(self.accepted), lost.eq(0)]
        with m.Elif(self.i.valid):
            m.d.sync += [written.eq(written + ~full), lost.eq(lost | full)]

        _read_ahead(m, memory, self.o, place=Signal(16), end=self.accepted, cut=0)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += fetched.eq(fetched + 1)

        return m


class ReplayQueue(wiring.Component):
    """Keep sent bytes until the other side has them, and send them again on demand.

    Positions count all bytes since reset, modulo ``2**16``. A byte a cycle comes in and leaves.

    Parameters
    ----------
    depth : int
        Bytes, a power of two up to ``2**15``; so many may be sent ahead of acknowledgement.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Bytes to send.
    o : ``Out(stream.Signature(8))``
        Bytes from ``position`` on.
    position : ``Out(16)``
        Position of the next byte at ``o``.
    available : ``Out(16)``
        Number of bytes from ``position`` to the last that came in.
    settle : ``In(1)``
        Apply ``heard`` and ``rewind``; ``o`` transfers nothing in this cycle.
    heard : ``In(16)``
        Position up to which the other side has all bytes; an impossible value is ignored.
    rewind : ``In(1)``
        With ``settle``: continue from ``heard``.
    """

    i: stream.Interface
    o: stream.Interface
    position: Signal
    available: Signal
    settle: Signal
    heard: Signal
    rewind: Signal

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "position": Out(16),
                "available": Out(16),
                "settle": In(1),
                "heard": In(16),
                "rewind": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.memory = memory = BlockRam(width=8, depth=self.depth)
        address_bits = len(memory.write_addr)

        oldest = Signal(16)
        written = Signal(16)
        held, sent, news = Signal(16), Signal(16), Signal(16)
        m.d.comb += [
            held.eq(written - oldest),
            sent.eq(self.position - oldest),
            news.eq(self.heard - oldest),
            self.available.eq(written - self.position),
            memory.write_addr.eq(written[:address_bits]),
            memory.write_data.eq(self.i.payload),
            memory.write_en.eq(self.i.valid & self.i.ready),
        ]
        # `i.ready` is of the cycle before, because the way to the engine's packets is long. A byte
        # may have come since, so room is kept for it.
        m.d.sync += self.i.ready.eq(held < self.depth - 1)
        with m.If(memory.write_en):
            m.d.sync += written.eq(written + 1)

        place, moves = Signal(16), Signal()
        acknowledged = self.settle & (news <= held)
        m.d.comb += moves.eq(acknowledged & (self.rewind | (sent < news)))
        _read_ahead(m, memory, self.o, place=place, end=written, cut=moves)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.position.eq(self.position + 1)
        with m.If(acknowledged):
            m.d.sync += oldest.eq(self.heard)
        with m.If(moves):
            m.d.sync += [self.position.eq(self.heard), place.eq(self.heard)]

        return m
