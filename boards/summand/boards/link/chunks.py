"""Bytes that wait to be sent, in chunks of any size."""

from collections import deque
from collections.abc import Iterable

__all__ = ["ChunkQueue"]


class ChunkQueue:
    """First in, first out; chunks are kept by reference, and cut where a piece ends."""

    def __init__(self):
        self._chunks: deque[memoryview] = deque()
        self._size = 0

    def __len__(self) -> int:
        """Bytes that wait."""
        return self._size

    def push(self, chunks: Iterable[bytes | memoryview]) -> None:
        """Add chunks at the end."""
        for chunk in chunks:
            view = memoryview(chunk).cast("B")
            if view:
                self._chunks.append(view)
                self._size += len(view)

    def take(self, most: int) -> list[memoryview]:
        """Remove the first bytes, at most so many, and return them in parts."""
        left = min(most, self._size)
        self._size -= left
        parts: list[memoryview] = []
        while left:
            chunk = self._chunks.popleft()
            parts.append(chunk[:left])
            if rest := chunk[left:]:
                self._chunks.appendleft(rest)
            left -= len(parts[-1])
        return parts

    def clear(self) -> None:
        """Drop everything."""
        self._chunks.clear()
        self._size = 0
