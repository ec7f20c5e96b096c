"""A memory behind a :class:`~summand.rtl.memory.port.MemoryPort`, as a model for tests."""

import random
from collections import deque
from collections.abc import Sequence
from typing import Any

__all__ = ["PortMemory"]


class PortMemory:
    """Answers a port's user a cycle at a time, with random pauses.

    It keeps the port's promises and no more: ``idle`` stays low for a while after the last beat,
    and what was written can be read only then.

    Parameters
    ----------
    port : MemoryPort
        The user's, such as ``player.memory``.
    beats : int
        Its size; all 0 at first.
    p_stall : float
        Probability of a pause of each stream in a cycle.
    latency : int
        Cycles from a run to its first beat, and from the last one to ``idle``.
    refused : range
        Addresses that it refuses.
    seed : int
        Of the pauses.
    """

    def __init__(
        self,
        port: Any,
        beats: int,
        *,
        p_stall: float = 0.0,
        latency: int = 3,
        refused: range = range(0),
        seed: int = 0,
    ):
        self.port = port
        #: What can be read.
        self.beats = [0] * beats
        self.signals = (
            port.reads.valid,
            port.reads.payload,
            port.beats.ready,
            port.writes.valid,
            port.writes.payload,
            port.data.valid,
            port.data.payload,
            port.abort,
        )
        self._p_stall = p_stall
        self._latency = latency
        self._refused = refused
        self._rng = random.Random(f"{seed} memory")
        self._pending: deque[int] = deque()  # addresses that are to be read
        self._places: deque[int] = deque()  # and to be written
        self._written: dict[int, int] = {}  # and cannot be read yet
        self._wait = 0
        self._offered = False
        self._ready = {"reads": False, "writes": False, "data": False}
        self._fails = False

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._pending and not self._places and not self._wait

    def before(self, ctx: Any) -> None:
        """Set this cycle's signals."""
        go = {name: self._rng.random() >= self._p_stall for name in ("beats", *self._ready)}
        self._offered = bool(self._pending) and not self._wait and (self._offered or go["beats"])
        ctx.set(self.port.beats.valid, self._offered)
        if self._offered:
            address = self._pending[0]
            failed = address in self._refused
            value = self._rng.getrandbits(16) if failed else self.beats[address]
            ctx.set(self.port.beats.payload, {"data": value, "failed": failed})
        self._ready = {
            "reads": go["reads"] and not self._pending,
            "writes": go["writes"] and not self._places,
            "data": go["data"] and bool(self._places),
        }
        for name, ready in self._ready.items():
            ctx.set(getattr(self.port, name).ready, ready)
        ctx.set(self.port.idle, self.idle)
        ctx.set(self.port.failed, self._fails)
        self._fails = False

    def after(self, sampled: Sequence[Any]) -> None:
        """Take what moved; raises ``AssertionError`` if the user breaks the port's rules."""
        reads, read, taken, writes, write, data, value, abort = sampled
        self._wait = max(0, self._wait - 1)
        if abort:
            self._pending.clear()
            self._places.clear()
            self._offered = False
            return
        if self._offered and taken:
            self._pending.popleft()
            self._offered = False
            self._end()
        if data and self._ready["data"]:
            address = self._places.popleft()
            if address in self._refused:
                self._fails = True
            else:
                self._written[address] = value
            self._end()
        for asked, run, queue, name in (
            (reads, read, self._pending, "reads"),
            (writes, write, self._places, "writes"),
        ):
            if asked and self._ready[name]:
                assert run.beats, "a run without beats"
                assert run.address + run.beats <= len(self.beats), "a run beyond the end"
                queue.extend(range(run.address, run.address + run.beats))
                self._wait = self._latency
        if self.idle:
            for address, word in self._written.items():
                self.beats[address] = word
            self._written.clear()

    def _end(self) -> None:
        if not self._pending and not self._places:
            self._wait = self._latency
