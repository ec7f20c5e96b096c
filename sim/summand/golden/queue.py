"""A queue of bytes that arrive in any pieces and leave in any others."""

from collections import deque

__all__ = ["ByteQueue"]


class ByteQueue:
    """First in, first out. A piece taken out as it was put in is the same object, not a copy."""

    def __init__(self):
        self._pieces: deque[bytes] = deque()
        self._offset = 0  # bytes of the first piece that are gone
        self._size = 0

    def __len__(self) -> int:
        """Bytes held."""
        return self._size

    def append(self, piece: bytes | memoryview) -> None:
        """Add ``piece`` at the end. ``bytes`` are kept by reference, anything else is copied."""
        raw = _as_bytes(piece)
        if raw:
            self._pieces.append(raw)
            self._size += len(raw)

    def take(self, nbytes: int) -> bytes:
        """Remove and return the first ``nbytes``, which must be there."""
        if nbytes > self._size:
            raise ValueError(f"nbytes must be at most the {self._size} held, not {nbytes}")
        if nbytes and not self._offset and len(self._pieces[0]) == nbytes:
            self._size -= nbytes
            return self._pieces.popleft()
        parts = []
        while nbytes:
            part = memoryview(self._pieces[0])[self._offset : self._offset + nbytes]
            parts.append(part)
            nbytes -= len(part)
            self._size -= len(part)
            self._offset += len(part)
            if self._offset == len(self._pieces[0]):
                self._pieces.popleft()
                self._offset = 0
        return b"".join(parts)

    def clear(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self._offset = self._size = 0


def _as_bytes(piece: bytes | memoryview) -> bytes:
    if isinstance(piece, bytes):
        return piece
    view = memoryview(piece)
    whole = view.obj
    if isinstance(whole, bytes) and view.contiguous and view.nbytes == len(whole):
        return whole  # the view is of the whole object
    return view.tobytes()
