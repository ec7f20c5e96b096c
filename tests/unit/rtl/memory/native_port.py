"""A model of the controller behind a native port."""

import random
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast the controller is.

    ``cycles`` pass from a word to the next, ``read`` and ``write`` from a command that is carried
    out to its data. Once in ``period`` cycles it rests for ``gap``. ``p_refuse`` is the probability
    that it takes no command in a cycle.
    """

    cycles: int = 1
    read: int = 6
    write: int = 3
    period: int = 100
    gap: int = 0
    p_refuse: float = 0.0


class NativeModel:
    """Carries out commands in order, and neither waits for words nor holds them back."""

    def __init__(self, port, pace, *, seed=0):
        self.port = port
        self.signals = (port.cmd.valid, port.cmd.payload, port.wdata.valid, port.wdata.payload)
        #: What is in the memory; words that were never written are random.
        self.words: dict[int, int] = {}
        #: Most read words that were asked for and had not come.
        self.outstanding = 0
        self._pace = pace
        self._rng = random.Random(f"{seed} native")
        self._commands: deque[tuple[int, int]] = deque()
        self._due_reads: deque[tuple[int, int]] = deque()
        self._due_writes: deque[tuple[int, int]] = deque()
        self._cycle = 0
        self._next = 0
        self._ready = False
        self._waiting = None

    def word(self, address):
        width = len(self.port.rdata.payload)
        return self.words.setdefault(address, self._rng.getrandbits(width))

    def before(self, ctx):
        pace, cycle = self._pace, self._cycle
        resting = cycle % pace.period < pace.gap
        if self._commands and cycle >= self._next and not resting:
            we, address = self._commands.popleft()
            due, latency = (self._due_writes, pace.write) if we else (self._due_reads, pace.read)
            due.append((cycle + latency, address))
            self._next = cycle + pace.cycles
        self._ready = len(self._commands) < 8 and self._rng.random() >= pace.p_refuse
        ctx.set(self.port.cmd.ready, self._ready)
        ctx.set(self.port.wdata.ready, bool(self._due_writes) and self._due_writes[0][0] == cycle)
        comes = bool(self._due_reads) and self._due_reads[0][0] == cycle
        ctx.set(self.port.rdata.valid, comes)
        width = len(self.port.rdata.payload)
        word = self.word(self._due_reads[0][1]) if comes else self._rng.getrandbits(width)
        ctx.set(self.port.rdata.payload, word)

    def after(self, cycle, sampled):
        valid, command, data_valid, data = sampled
        if self._waiting is not None:
            assert valid, f"command withdrawn in cycle {cycle}"
            assert command == self._waiting, f"command changed in cycle {cycle}"
        self._waiting = command if valid and not self._ready else None
        if valid and self._ready:
            self._commands.append((command.we, command.addr))
        if self._due_writes and self._due_writes[0][0] == cycle:
            assert data_valid, f"no word to write in cycle {cycle}"
            self.words[self._due_writes.popleft()[1]] = data
        if self._due_reads and self._due_reads[0][0] == cycle:
            self._due_reads.popleft()
        asked = len(self._due_reads) + sum(not we for we, _ in self._commands)
        self.outstanding = max(self.outstanding, asked)
        self._cycle = cycle + 1
