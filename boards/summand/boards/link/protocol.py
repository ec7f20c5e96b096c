"""The link's frames, as bytes: the rules for host and gateware.

``docs/link.md`` is the specification; this module is the host's half of it.
"""

import enum
import re
import struct
import zlib
from dataclasses import dataclass

from summand.isa import SummandError

__all__ = [
    "CRC_BYTES",
    "ESCAPE",
    "ESCAPED",
    "FLAG",
    "HEADER_BYTES",
    "MASK",
    "PROTOCOL",
    "ROUNDS",
    "Deframer",
    "Frame",
    "FrameKind",
    "LinkError",
]

#: Version of the link, in every OPEN and HELLO.
PROTOCOL = 1

#: Marks a frame's both ends; appears nowhere within one.
FLAG = 0x7E
#: The byte after it is to be taken exclusive-or :data:`ESCAPED`.
ESCAPE = 0x7D
ESCAPED = 0x20

HEADER_BYTES = 10
CRC_BYTES = 4

#: Positions in a byte stream are counted modulo ``MASK + 1``.
MASK = 0xFFFF
#: Rounds of retransmission are counted modulo this.
ROUNDS = 16


class LinkError(SummandError):
    """A link that cannot go on; the text names the cause and the remedy."""


class FrameKind(enum.IntEnum):
    """Byte 0 of a frame."""

    #: Host: begin a session; resets the engine and empties both byte streams.
    OPEN = 1
    #: Both: stream bytes, and the position up to which the other side's have arrived.
    DATA = 2
    #: Host: read a register.
    READ = 3
    #: Host: write a register.
    WRITE = 4
    #: Gateware: answers OPEN.
    HELLO = 5
    #: Gateware: answers READ and WRITE.
    VALUE = 6


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame, its bytes not yet escaped.

    Parameters
    ----------
    kind : FrameKind
    session : int
        1 to 255, chosen by the host in OPEN; 0 where none is open.
    down_round, up_round : int
        Rounds of retransmission towards the gateware and towards the host, 0 to 15. The host
        counts both; the gateware echoes the last it saw.
    tag : int
        DATA from the gateware: 1 where bytes are missing. READ, WRITE, VALUE: names the request.
        OPEN, HELLO: :data:`PROTOCOL`.
    position : int
        DATA: position of the payload's first byte. HELLO: the longest payload of the gateware.
    accepted : int
        DATA: position up to which the sender has all bytes of the other side. HELLO: bytes that
        the gateware sends ahead of ``accepted``.
    limit : int
        DATA and HELLO from the gateware: position up to which it has room. READ, WRITE, VALUE:
        the register's offset.
    payload : bytes
        DATA only.
    """

    kind: FrameKind
    session: int
    down_round: int = 0
    up_round: int = 0
    tag: int = 0
    position: int = 0
    accepted: int = 0
    limit: int = 0
    payload: bytes = b""

    _FORMAT = struct.Struct("<4B3H")

    @property
    def value(self) -> int:
        """READ, WRITE, VALUE: 32 bits, in the place of ``position`` and ``accepted``."""
        return self.position | self.accepted << 16

    @classmethod
    def request(
        cls, kind: FrameKind, *, session: int, tag: int, offset: int, value: int
    ) -> "Frame":
        """Return a READ, WRITE or VALUE."""
        low, high = value & MASK, value >> 16
        return cls(kind=kind, session=session, tag=tag, position=low, accepted=high, limit=offset)

    def encode(self) -> bytes:
        """Return the frame with its CRC, escaped and between flags."""
        rounds = self.down_round | self.up_round << 4
        fixed = (self.kind, self.session, rounds, self.tag)
        raw = self._FORMAT.pack(*fixed, self.position, self.accepted, self.limit) + self.payload
        raw += zlib.crc32(raw).to_bytes(CRC_BYTES, "little")
        for special in (ESCAPE, FLAG):
            raw = raw.replace(bytes([special]), bytes([ESCAPE, special ^ ESCAPED]))
        return b"%c%b%c" % (FLAG, raw, FLAG)

    @classmethod
    def decode(cls, raw: bytes) -> "Frame | None":
        """Read the bytes between two flags, escapes undone; None if they are damaged."""
        body, crc = raw[:-CRC_BYTES], raw[-CRC_BYTES:]
        if len(body) < HEADER_BYTES or zlib.crc32(body) != int.from_bytes(crc, "little"):
            return None
        kind, session, rounds, tag, position, accepted, limit = cls._FORMAT.unpack_from(body)
        if kind not in set(FrameKind):
            return None
        return cls(
            kind=FrameKind(kind),
            session=session,
            down_round=rounds & 15,
            up_round=rounds >> 4,
            tag=tag,
            position=position,
            accepted=accepted,
            limit=limit,
            payload=body[HEADER_BYTES:],
        )


#: An escape and what follows it, if anything.
_ESCAPES = re.compile(b"%c(.?)" % ESCAPE, re.DOTALL)

#: More than any frame takes on the line; so many bytes without a flag are noise.
_LONGEST = 1 << 17


class Deframer:
    """Finds frames in received bytes, whatever pieces they arrive in."""

    def __init__(self):
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame | None]:
        """Take bytes; return the frames that they complete, None for each damaged one."""
        *whole, rest = (self._rest + data).split(bytes([FLAG]))
        self._rest = rest[-_LONGEST:]
        return [Frame.decode(raw) for part in whole if (raw := _unescaped(part))]


def _unescaped(part: bytes) -> bytes:
    return _ESCAPES.sub(lambda m: bytes(b ^ ESCAPED for b in m[1]), part)
