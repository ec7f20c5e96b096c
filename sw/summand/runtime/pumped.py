"""Devices that move bytes when they are asked to."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from summand.boards.link.chunks import ChunkQueue
from summand.runtime.errors import DeviceTimeout

__all__ = ["PumpedDevice"]

#: How long the engine may take no transfer before a write fails. No command takes so long.
_STUCK_S = 60


class PumpedDevice(ABC):
    """Writes and reads by :meth:`_pump`, over and over.

    Parameters
    ----------
    clock : callable
        The time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._queue = ChunkQueue()
        self._received = bytearray()

    @abstractmethod
    def _pump(self) -> bool:
        """Do what can be done now; returns whether that was anything."""

    def _waits(self) -> bool:
        """Whether bytes that were written are not on their way."""
        return len(self._queue) > 0

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Send bytes; returns when the last of them are on their way."""
        self._queue.push(chunks)
        since = self._clock()
        while self._waits():
            if self._pump():
                since = self._clock()
            elif self._clock() - since > _STUCK_S:
                raise DeviceTimeout(
                    f"the engine has taken nothing for {_STUCK_S} s; reset it and start again"
                )

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return exactly ``nbytes`` of the output stream."""
        deadline = self._clock() + timeout_s
        while len(self._received) < nbytes:
            if not self._pump() and self._clock() > deadline:
                raise DeviceTimeout(
                    f"the engine gave {len(self._received)} of {nbytes} bytes within "
                    f"{timeout_s:g} s; it waits for more input, or an error stopped it"
                )
        data = bytes(self._received[:nbytes])
        del self._received[:nbytes]
        return data

    def _forget(self) -> None:
        """Drop what is queued and what was received."""
        self._queue.clear()
        self._received.clear()
