"""Where weights lie in a board's memory."""

import hashlib
from collections.abc import Iterable, Iterator

from summand.isa import EngineConfig, SummandError

__all__ = ["EMPTY", "PARTIAL", "BoardMemoryError", "MemoryLayout"]

#: The epoch of a memory that nothing was written to since power-up.
EMPTY = 0
#: That of a memory that is being written.
PARTIAL = 1


class BoardMemoryError(SummandError):
    """A model that a board's memory does not hold, or a memory that does not keep what it holds."""


class MemoryLayout:
    """Payloads of commands, one behind the other from the memory's first beat on.

    Parameters
    ----------
    config : EngineConfig
        The engine's; payloads are whole beats of its stream.
    memory_beats : int
        The memory's size.
    """

    def __init__(self, config: EngineConfig, memory_beats: int):
        self._config = config
        self._memory_beats = memory_beats
        self._hash = hashlib.sha256(config.digest.encode())
        #: Where payloads are, by their identity; the references keep identities from being reused.
        self._places: dict[int, tuple[int, bytes]] = {}
        #: Beats that are taken.
        self.beats = 0

    @property
    def nbytes(self) -> int:
        """Bytes that are taken."""
        return self.beats * self._config.beat_bytes

    @property
    def epoch(self) -> int:
        """64 bits that name what the memory holds: engine, payloads and their order."""
        found = int.from_bytes(self._hash.digest()[:8], "little")
        return found if found not in (EMPTY, PARTIAL) else PARTIAL + 1

    def place(self, payload: object) -> int | None:
        """Return the first beat of a payload, or None if this very object is not in the memory."""
        found = self._places.get(id(payload))
        return found[0] if found else None

    def add(self, payloads: Iterable[bytes]) -> None:
        """Give payloads places behind those that are there; one that has a place keeps it.

        Raises
        ------
        BoardMemoryError
            If the memory is too small, before any has a place.
        """
        fresh = {id(p): p for p in payloads if id(p) not in self._places}
        beats = self.beats + sum(map(len, fresh.values())) // self._config.beat_bytes
        if beats > self._memory_beats:
            need, there = (n * self._config.beat_bytes for n in (beats, self._memory_beats))
            raise BoardMemoryError(
                f"the model's weights take {need:,} bytes of memory and there are {there:,}: "
                f"{need - there:,} are lacking; compress it to fewer bits (summand compress "
                f"--target-bits), or take a board with more memory (summand boards)"
            )
        for key, payload in fresh.items():
            self._places[key] = self.beats, payload
            self._hash.update(len(payload).to_bytes(8, "little"))
            self._hash.update(payload)
            self.beats += len(payload) // self._config.beat_bytes

    def pieces(self, nbytes: int) -> Iterator[tuple[int, bytes]]:
        """Yield the memory's contents in pieces of about ``nbytes``: first beat, and bytes."""
        size = self._config.beat_bytes
        step = max(1, nbytes // size) * size
        parts: list[memoryview] = []
        first = gathered = 0
        for _, payload in self._places.values():
            view = memoryview(payload)
            while view:
                part, view = view[: step - gathered], view[step - gathered :]
                parts.append(part)
                gathered += len(part)
                if gathered == step:
                    yield first, b"".join(parts)
                    first, gathered, parts = first + step // size, 0, []
        if parts:
            yield first, b"".join(parts)
