"""The link's frames in datagrams: the host's end of a UDP line, without a socket.

A network loses, doubles and reorders datagrams. Late ones are dropped here, so that frames arrive
in order or not at all, as the link wants it. ``docs/link.md`` is the specification.
"""

import struct
from collections.abc import Iterator

from summand.boards.link.protocol import CRC_BYTES, FLAG, HEADER_BYTES

__all__ = [
    "DATAGRAM_BYTES",
    "DATAGRAM_HEADER_BYTES",
    "LINES",
    "UDP_PORT",
    "WORD_BYTES",
    "DatagramLine",
    "longest_frame",
]

#: The port at which boards listen.
UDP_PORT = 2000

#: The longest datagram, bytes of a UDP payload: 1,500 of Ethernet less headers, and some to spare.
DATAGRAM_BYTES = 1400

#: Bytes before its frames.
DATAGRAM_HEADER_BYTES = 8

#: Datagrams are whole words.
WORD_BYTES = 4

#: Lines have numbers below this.
LINES = 1 << 24

_HEADER = struct.Struct("<II")
_SEQUENCES = 1 << 32
_FLAG = bytes([FLAG])


def longest_frame(payload_bytes: int) -> int:
    """Return the bytes of a frame, flags included, whose every byte needs an escape."""
    return 2 + 2 * (HEADER_BYTES + payload_bytes + CRC_BYTES)


class DatagramLine:
    """Wraps frames in datagrams, and takes those of datagrams that are not late.

    Parameters
    ----------
    line : int
        Its number, below :data:`LINES`, which tells it from lines before; hosts draw it.
    """

    def __init__(self, line: int):
        if not 0 <= line < LINES:
            raise ValueError(f"line must be 0 to {LINES - 1}, not {line}")
        self._line = line
        self._sequence = 0
        self._last: int | None = None  # sequence of the last datagram taken
        #: Datagrams that were dropped, for being late or of another line.
        self.dropped = 0

    def wrap(self, frames: bytes) -> list[bytes]:
        """Return datagrams with whole frames, as many in each as it holds.

        Parameters
        ----------
        frames : bytes
            Whole frames with their flags, each of :data:`DATAGRAM_BYTES` less the header at most.
        """
        return [self._next(group) for group in _groups(frames)]

    def unwrap(self, datagram: bytes) -> bytes:
        """Return the frames of a datagram of the board's; none if it is to be dropped."""
        if len(datagram) < DATAGRAM_HEADER_BYTES:
            self.dropped += 1
            return b""
        sequence, line = _HEADER.unpack_from(datagram)
        news = self._last is None or 0 < (sequence - self._last) % _SEQUENCES < _SEQUENCES // 2
        if line != self._line or not news:
            self.dropped += 1
            return b""
        self._last = sequence
        return datagram[DATAGRAM_HEADER_BYTES:]

    def _next(self, frames: bytes) -> bytes:
        begins = self._last is None
        header = _HEADER.pack(self._sequence, self._line | begins << 24)
        self._sequence = (self._sequence + 1) % _SEQUENCES
        return header + frames + _FLAG * (-len(frames) % WORD_BYTES)


def _groups(frames: bytes) -> Iterator[bytes]:
    """Cut a run of frames where a datagram is full."""
    group = b""
    for body in frames.split(_FLAG):
        if not body:
            continue
        frame = b"%c%b%c" % (FLAG, body, FLAG)
        if len(frame) > DATAGRAM_BYTES - DATAGRAM_HEADER_BYTES:
            raise ValueError(f"a frame of {len(frame)} bytes does not fit in a datagram")
        if len(group) + len(frame) > DATAGRAM_BYTES - DATAGRAM_HEADER_BYTES:
            yield group
            group = b""
        group += frame
    if group:
        yield group
