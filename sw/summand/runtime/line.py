"""An engine at the other end of a line, whatever carries its bytes."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from summand.boards.link.host import HostLink, LinePace, LinkSilence, LinkStatistics
from summand.boards.link.protocol import LinkError
from summand.isa import EngineConfig
from summand.isa.registers import register
from summand.runtime.errors import DeviceError, DeviceTimeout

__all__ = ["WRITE_BYTES", "Line", "LineDevice", "LineWords"]

#: Bytes of frames given to a line at a time.
WRITE_BYTES = 4096

#: How long one read waits for bytes: enough for the line to bring some.
_NAP_S = 0.002

#: How long an engine may accept no bytes before a write fails. No command takes so long.
_STUCK_S = 60

#: A failed call blames the line if, since the call began, one frame in so many came damaged, or
#: bytes were repeated so many times.
_BAD_SHARE, _BAD_REPEATS = 10, 10


@dataclass(frozen=True, kw_only=True)
class LineWords:
    """How errors speak of a line.

    Parameters
    ----------
    board : str
        What is at its other end.
    silence : str
        What to do when nothing is heard from there.
    harm : str
        What it does when too much is lost.
    remedy : str
        What to do then.
    """

    board: str
    silence: str
    harm: str
    remedy: str


class Line(Protocol):
    """Something that carries frames both ways, in order, and may lose or damage some."""

    @property
    def pace(self) -> LinePace:
        """How quick it is."""
        ...

    @property
    def words(self) -> LineWords:
        """How errors speak of it."""
        ...

    def write(self, data: bytes) -> None:
        """Send whole frames; returns when they are sent or queued."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting up to ``timeout_s`` for the first byte."""
        ...

    def close(self) -> None:
        """Release the line."""
        ...


class LineDevice:
    """An engine behind the gateware's end of the link; a :class:`~summand.runtime.device.Device`.

    What the line loses or damages is sent again, both ways, transparently. Opening resets the
    engine.

    Parameters
    ----------
    config : EngineConfig
        The engine's, as expected; the driver compares its digest with the registers.
    line : Line
        The line to the board; closed with the device.
    clock : callable
        The time in seconds.

    Raises
    ------
    DeviceError
        In the constructor and all methods, if the board does not answer, was restarted or has gone.
    """

    def __init__(
        self,
        config: EngineConfig,
        line: Line,
        *,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._config = config
        self._line = line
        self._clock = clock
        self._link = HostLink(line.pace)
        #: The link's statistics at the start of the present call.
        self._before = LinkStatistics()
        # A random start, so that a board that is still in a session notices the new one.
        self._session = random.SystemRandom().randint(1, 255)
        try:
            self._open()
        except DeviceError:
            line.close()
            raise

    @property
    def config(self) -> EngineConfig:
        """The configuration that this engine is believed to have."""
        return self._config

    @property
    def statistics(self) -> LinkStatistics:
        """Counts of what the link lost and sent again so far."""
        return self._link.statistics

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Send bytes; returns when all have been sent once. Lost ones are sent again later."""
        self._before = replace(self.statistics)
        self._link.send(chunks)
        taken, since = self._link.acknowledged, self._clock()
        while self._link.unsent:
            self._pump(listening=False)
            if self._link.acknowledged != taken:
                taken, since = self._link.acknowledged, self._clock()
            elif self._clock() - since > _STUCK_S:
                raise DeviceTimeout(
                    self._bad_line()
                    or f"the engine has taken no byte for {_STUCK_S} s; reset it and start again"
                )

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return exactly ``nbytes`` of the output stream."""
        self._before = replace(self.statistics)
        received = self._link.received
        deadline = self._clock() + timeout_s
        while len(received) < nbytes:
            if self._clock() > deadline:
                raise DeviceTimeout(
                    self._bad_line()
                    or f"{self._line.words.board} gave {len(received)} of {nbytes} bytes within "
                    f"{timeout_s:g} s; it waits for more input, or an error stopped it"
                )
            self._pump(listening=True)
        data = bytes(received[:nbytes])
        del received[:nbytes]
        return data

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._access(write=False, name=name, value=0)

    def write_register(self, name: str, value: int) -> None:
        """Write a register. ``reset`` begins a new session, which empties both directions too."""
        if name == "reset":
            if value & 1:
                self._open()
        else:
            self._access(write=True, name=name, value=value)

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _open(self) -> None:
        self._before = replace(self.statistics)
        self._session = self._session % 255 + 1
        self._link.open(self._session)
        while not self._link.is_open:
            self._pump(listening=False)

    def _access(self, *, write: bool, name: str, value: int) -> int:
        self._before = replace(self.statistics)
        self._link.request(write=write, offset=register(name).offset, value=value)
        while (answer := self._link.answer()) is None:
            self._pump(listening=False)
        return answer

    def _pump(self, *, listening: bool) -> None:
        """Move bytes between line and link once."""
        try:
            # Bytes that have arrived are handled before timeouts are checked.
            arrived = self._line.read(0)
            self._link.receive(arrived, self._clock())
            data = self._link.transmit(self._clock(), listening=listening, budget=WRITE_BYTES)
            if data:
                self._line.write(data)
            elif not arrived:  # else they may be what is waited for
                self._link.receive(self._line.read(_NAP_S), self._clock())
        except LinkSilence as e:
            words = self._line.words
            silence = f"{words.board} {e}; {words.silence}"
            raise DeviceError(self._bad_line(repeats_count=False) or silence) from None
        except LinkError as e:
            raise DeviceError(self._bad_line() or f"{self._line.words.board} {e}") from None

    def _bad_line(self, *, repeats_count: bool = True) -> str | None:
        """Return an error's text if so much was lost that nothing gets through.

        Bytes are repeated on a line that is silent too, for other causes.
        """
        seen, before = self.statistics, self._before
        damaged = seen.damaged - before.damaged
        whole = seen.frames_received - before.frames_received
        repeats = seen.repeats_sent - before.repeats_sent
        nothing = not damaged + whole  # the board is silent, which has other causes
        often = repeats_count and repeats >= _BAD_REPEATS
        if nothing or (damaged * _BAD_SHARE < whole and not often):
            return None
        words = self._line.words
        return (
            f"{words.harm}: {damaged:,} of {damaged + whole:,} frames from the board came damaged, "
            f"and bytes to it went {repeats:,} times again; {words.remedy}"
        )
