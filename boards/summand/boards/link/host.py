"""The host's end of the link, without a line and without a clock.

The caller passes in bytes and the time, and gets bytes; so one implementation serves a serial
port, a simulation and a test that damages bytes.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from summand.boards.link.chunks import ChunkQueue
from summand.boards.link.protocol import (
    CRC_BYTES,
    HEADER_BYTES,
    MASK,
    PROTOCOL,
    ROUNDS,
    Deframer,
    Frame,
    FrameKind,
    LinkError,
)

__all__ = ["HostLink", "LinePace", "LinkSilence", "LinkStatistics", "stream_rate"]

#: Bytes of a frame besides its payload, without escapes.
_FRAME_COST = HEADER_BYTES + CRC_BYTES + 2

#: Longest payload of a frame on a UART.
_FRAME_BYTES = 512

#: How long operating system and USB may hold a frame of a UART back.
_UART_TURNAROUND_S = 0.04

#: Bytes that escapes add to a byte on average, if all values are equally likely.
_ESCAPES = 2 / 256

#: Weight of earlier measurements of the line's pace when a new one is added.
_MEMORY = 7 / 8

#: Seconds for which the caller may look away without making what is measured of the pace useless.
_ABSENCE_S = 0.05

#: Largest factor by which the wait for an answer grows.
_PATIENCE = 16


@dataclass
class LinkStatistics:
    """Counts of what happened on a link so far."""

    frames_sent: int = 0
    frames_received: int = 0
    #: Frames from the gateware with a wrong checksum.
    damaged: int = 0
    #: Bytes from the gateware that had been received before.
    doubled_bytes: int = 0
    #: Times that bytes were sent again, and asked for again.
    repeats_sent: int = 0
    repeats_asked: int = 0


@dataclass(frozen=True, kw_only=True)
class LinePace:
    """How quick a line is; timeouts follow from it, or from what is measured if that is slower.

    Parameters
    ----------
    byte_s : float
        Seconds that the line takes for a byte.
    turnaround_s : float
        How long a frame may be held back on its way there and back, besides.
    frame_bytes : int
        Longest payload to send. Longer ones cost fewer bytes, shorter ones lose less to damage.
    """

    byte_s: float
    turnaround_s: float
    frame_bytes: int

    def __post_init__(self):
        for name in ("byte_s", "turnaround_s"):
            if not 0 < (value := getattr(self, name)) < math.inf:
                raise ValueError(f"{name} must be above 0, not {value}")
        if not 1 <= self.frame_bytes <= MASK // 2:
            raise ValueError(f"frame_bytes must be 1 to {MASK // 2}, not {self.frame_bytes}")

    @classmethod
    def of_uart(cls, baud: int) -> "LinePace":
        """Return that of a UART at ``baud`` bits a second."""
        return cls(byte_s=10 / baud, turnaround_s=_UART_TURNAROUND_S, frame_bytes=_FRAME_BYTES)


class LinkSilence(LinkError):
    """Nothing is heard from the other end; what may be wrong depends on the line."""


def stream_rate(baud: int) -> float:
    """Return the most stream bytes that a line carries one way in a second.

    ``baud`` is the line's bits a second. The stream's bytes are assumed to be random.
    """
    frame = (_FRAME_BYTES + _FRAME_COST) * (1 + _ESCAPES)
    return baud / 10 * _FRAME_BYTES / frame


class HostLink:
    """Carry bytes to and from an engine; nothing is lost, doubled or out of order.

    Times are seconds of any clock that does not go backwards.

    Parameters
    ----------
    pace : LinePace
        How quick the line is.
    """

    def __init__(self, pace: LinePace):
        self._pace = pace
        self._session = 0
        self._request_tag = 0
        self.statistics = LinkStatistics()
        self._begin(0)

    def _begin(self, session: int) -> None:
        self._session = session
        self._deframer = Deframer()
        self.is_open = False
        # Towards the gateware; positions here are never taken modulo anything.
        self._queue = ChunkQueue()
        self._flight = bytearray()  # bytes from `_acked` on that were sent at least once
        self._acked = self._sent = self._limit = 0
        self._down_round = 0
        # Towards the host.
        self.received = bytearray()
        self._expected = 0
        self._owed = False  # whether an acknowledgement is to be sent
        self._up_round = self._up_echo = 0
        # Register accesses.
        self._request: Frame | None = None
        self._request_due = False
        self._answer: int | None = None
        # Times.
        self._activity = -math.inf  # time of the last frame either way
        self._asked: float | None = None  # time of the first frame sent since the last received
        # The line's pace: seconds, and bytes acknowledged in them; older ones have less weight.
        self._paced_s = self._paced_bytes = 0.0
        self._paced_from: float | None = None  # time when the bytes in flight began to flow
        self._looked = -math.inf
        self._patience = 1

    def open(self, session: int) -> None:
        """Begin session number ``session``, which must differ from the last. Drops the queue."""
        if not 1 <= session <= 255:
            raise ValueError(f"session must be 1 to 255, not {session}")
        self._begin(session)

    def send(self, chunks: Iterable[bytes | memoryview]) -> None:
        """Queue bytes; they are kept by reference."""
        self._queue.push(chunks)

    @property
    def unsent(self) -> bool:
        """Whether bytes are queued that have not been sent once."""
        return len(self._queue) > 0

    @property
    def acknowledged(self) -> int:
        """Bytes that the gateware has, of those sent in this session."""
        return self._acked

    @property
    def unacknowledged(self) -> int:
        """Bytes sent that the gateware is not known to have."""
        return len(self._flight)

    def request(self, *, write: bool, offset: int, value: int = 0) -> None:
        """Begin a register access; :meth:`answer` gives its result."""
        self._request_tag = (self._request_tag + 1) % 256
        kind = FrameKind.WRITE if write else FrameKind.READ
        self._request = Frame.request(
            kind, session=self._session, tag=self._request_tag, offset=offset, value=value
        )
        self._request_due = True
        self._answer = None

    def answer(self) -> int | None:
        """Return the result of the register access, or None before it has come."""
        return self._answer

    @property
    def _byte_s(self) -> float:
        """Seconds that the line takes for a byte."""
        measured = self._paced_s / self._paced_bytes if self._paced_bytes else 0.0
        return max(self._pace.byte_s, measured)

    @property
    def _answer_s(self) -> float:
        """The longest silence, in seconds, if nothing is lost.

        The bytes in flight must pass the line first, and a frame each way that may have begun.
        """
        bytes_ahead = len(self._flight) + 4 * (self._pace.frame_bytes + _FRAME_COST)
        return self._pace.turnaround_s + 1.5 * bytes_ahead * self._byte_s

    @property
    def wait_s(self) -> float:
        """Seconds of silence after which bytes are sent again.

        The wait doubles after each repetition in vain, until the line's pace has been measured.
        """
        return self._answer_s * self._patience

    @property
    def silence_s(self) -> float:
        """Seconds of silence after which the link is given up."""
        return 2 + 8 * self._answer_s

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes off the line.

        Raises
        ------
        LinkError
            If the gateware is of another version, or was restarted. The text goes on from a name
            for the board.
        """
        if now - self._looked > _ABSENCE_S:
            self._paced_from = None  # the times of arrival of these bytes are unknown
        self._looked = now
        for frame in self._deframer.feed(data):
            if frame is None:
                self.statistics.damaged += 1
                if self.is_open:
                    self._ask_again()
            elif frame.session == self._session:
                self._asked, self._activity = None, now
                self.statistics.frames_received += 1
                self._take(frame, now)
            elif self.is_open:
                raise LinkError("was restarted or opened by someone else; connect to it anew")

    def _take(self, frame: Frame, now: float) -> None:
        if frame.kind is FrameKind.HELLO and not self.is_open:
            if frame.tag != PROTOCOL:
                raise LinkError(
                    f"speaks version {frame.tag} of the link, this program version {PROTOCOL}; "
                    f"load a bitstream that was generated by this version"
                )
            self.is_open = True
            self._limit = frame.limit
        elif frame.kind is FrameKind.VALUE and self._request and frame.tag == self._request.tag:
            self._answer = frame.value
            self._request = None
        elif frame.kind is FrameKind.DATA and self.is_open:
            self._take_acknowledgement(frame, now)
            self._take_payload(frame)

    def _take_acknowledgement(self, frame: Frame, now: float) -> None:
        news = (frame.accepted - self._acked) & MASK
        if news > len(self._flight):
            return
        if news:
            del self._flight[:news]
            self._acked += news
            self._sent = max(self._sent, self._acked)
            self._measure(news, now)
        self._limit = max(self._limit, self._acked + ((frame.limit - frame.accepted) & MASK))
        if frame.tag and frame.down_round == self._down_round and self._sent > self._acked:
            self._repeat()

    def _measure(self, news: int, now: float) -> None:
        """Learn the line's pace from ``news`` bytes that have just been acknowledged."""
        if self._paced_from is not None:
            seconds = max(0.0, now - self._paced_from - self._pace.turnaround_s)
            self._paced_s = _MEMORY * self._paced_s + seconds
            self._paced_bytes = _MEMORY * self._paced_bytes + news
            self._patience = 1
        self._paced_from = now if self._flight else None

    def _take_payload(self, frame: Frame) -> None:
        self._up_echo = frame.up_round
        self._owed |= bool(frame.payload)
        ahead = (frame.position - self._expected) & MASK
        if frame.payload and not ahead:
            self.received += frame.payload
            self._expected += len(frame.payload)
        elif 0 < ahead <= MASK // 2:
            self._ask_again()
        else:
            self.statistics.doubled_bytes += len(frame.payload)

    def _repeat(self) -> None:
        """Send all unacknowledged bytes again."""
        self._sent = self._acked
        self._paced_from = None  # the next acknowledgement may be for either transmission
        self._down_round = (self._down_round + 1) % ROUNDS
        self.statistics.repeats_sent += 1

    def _ask_again(self) -> None:
        """Ask the gateware to repeat all missing bytes, unless it has just been asked to."""
        if self._up_echo == self._up_round:
            self._up_round = (self._up_round + 1) % ROUNDS
            self._owed = True
            self.statistics.repeats_asked += 1

    def transmit(self, now: float, *, listening: bool = False, budget: int = 4096) -> bytes:
        """Return bytes to put on the line now, about ``budget`` at most.

        Parameters
        ----------
        now : float
            The time.
        listening : bool
            The caller waits for bytes; if none come for a while, they are asked for again.
        budget : int
            No frame is begun beyond so many bytes.

        Raises
        ------
        LinkSilence
            If no frame has come for :attr:`silence_s`. The text goes on from a name for the board.
        """
        if self._asked is not None and now - self._asked > self.silence_s:
            raise LinkSilence(f"has not answered for {now - self._asked:.1f} s")
        self._tick(now, listening)
        out = bytearray()
        if not self.is_open:
            if self._request_due:
                self._request_due = False
                self._put(out, Frame(kind=FrameKind.OPEN, session=self._session, tag=PROTOCOL), now)
            return bytes(out)
        if self._request and self._request_due:
            self._request_due = False
            self._put(out, self._request, now)
        while len(out) < budget:
            if not self._flight:
                self._paced_from = now
            if not (payload := self._next_payload()):
                break
            frame = self._data(self._sent, payload)
            self._sent += len(payload)
            self._put(out, frame, now)
        if self._owed:
            self._put(out, self._data(self._sent, b""), now)
        return bytes(out)

    def _tick(self, now: float, listening: bool) -> None:
        """Repeat requests and frames whose answer is overdue."""
        if now - self._activity <= self.wait_s:
            return
        self._activity = now
        if self._asked is not None:
            self._patience = min(2 * self._patience, _PATIENCE)
        if not self.is_open or self._request:
            self._request_due = True
        if not self.is_open:
            return
        if self._sent > self._acked:
            self._repeat()
        elif self._queue or listening:
            self._owed = True  # the answer tells the limit, and whether bytes are missing

    def _next_payload(self) -> bytes:
        """Return the payload of a frame at ``_sent``; empty if nothing can be sent."""
        again = self._acked + len(self._flight) - self._sent
        room = self._limit - self._sent
        if again > 0:
            begin = self._sent - self._acked
            return bytes(self._flight[begin : begin + min(again, room, self._pace.frame_bytes)])
        wanted = min(self._pace.frame_bytes, len(self._queue))
        size = min(room, wanted)
        # A short frame now would prevent a full one soon.
        if size < wanted and self._flight:
            return b""
        payload = b"".join(self._queue.take(size))
        self._flight += payload
        return payload

    def _data(self, position: int, payload: bytes) -> Frame:
        return Frame(
            kind=FrameKind.DATA,
            session=self._session,
            down_round=self._down_round,
            up_round=self._up_round,
            position=position & MASK,
            accepted=self._expected & MASK,
            payload=payload,
        )

    def _put(self, out: bytearray, frame: Frame, now: float) -> None:
        out += frame.encode()
        self.statistics.frames_sent += 1
        if frame.kind is FrameKind.DATA:
            self._owed = False
        if self._asked is None:
            self._asked = now
        self._activity = now
