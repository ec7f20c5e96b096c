"""Sends a stream through a file whose writes return when the other end has taken the bytes."""

import mmap
import threading
from collections.abc import Sequence
from io import RawIOBase

from summand.boards.link.chunks import ChunkQueue
from summand.runtime.errors import DeviceError

__all__ = ["Sender"]


class Sender:
    """Sends in a thread of its own, so that whoever queues bytes can take results meanwhile.

    Parameters
    ----------
    file : RawIOBase
        Takes transfers.
    where : str
        Its name, for errors.
    transfer_bytes : int
        Bytes of a transfer, at most; a multiple of a beat's.
    """

    def __init__(self, file: RawIOBase, where: str, transfer_bytes: int):
        self._file = file
        self._where = where
        #: A transfer's bytes, from the start of a page on, as DMA engines like them.
        self._buffer = memoryview(mmap.mmap(-1, transfer_bytes))
        self._changed = threading.Condition()
        self._queue = ChunkQueue()
        self._sending = False
        self._closing = False
        self._failure: DeviceError | None = None
        self._thread = threading.Thread(target=self._run, name=f"to {where}", daemon=True)
        self._thread.start()

    def push(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue bytes, which are kept by reference until they have been sent."""
        with self._changed:
            self._queue.push(chunks)
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what has stopped a transfer since the last :meth:`drop`."""
        with self._changed:
            if self._failure:
                raise self._failure

    def drop(self) -> None:
        """Forget what is queued, and what went wrong; the transfer under way goes on."""
        with self._changed:
            self._queue.clear()
            self._failure = None

    def wait(self, timeout_s: float) -> bool:
        """Wait until no transfer is under way and nothing is queued; returns whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._queue or self._sending), timeout_s)

    def close(self) -> None:
        """End the thread, as soon as the transfer under way has ended."""
        with self._changed:
            self._queue.clear()
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while size := self._next():
            failure = self._send(size)
            with self._changed:
                self._sending = False
                if failure:
                    self._failure = failure
                    self._queue.clear()
                self._changed.notify_all()

    def _next(self) -> int:
        """Wait for bytes and put them into the buffer; returns how many, 0 to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            size = 0
            for part in self._queue.take(len(self._buffer)):
                self._buffer[size : size + len(part)] = part
                size += len(part)
            self._sending = size > 0
            return size

    def _send(self, size: int) -> DeviceError | None:
        try:
            taken = self._file.write(self._buffer[:size])
        except OSError as e:
            return DeviceError(
                f"{self._where} refused {size:,} bytes ({e.strerror or e}); the engine may wait "
                f"for its results to be taken, or the card be gone: reset the device"
            )
        if taken == size:
            return None
        return DeviceError(
            f"{self._where} took {taken or 0:,} of {size:,} bytes; the driver gave up waiting for "
            f"the engine: reset the device"
        )
