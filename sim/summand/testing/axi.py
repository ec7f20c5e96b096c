"""A memory at the other end of AXI4, that checks what is asked of it."""

import random
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["AxiBehaviour", "AxiSlave"]

_OKAY, _SLVERR, _DECERR = 0, 2, 3
_INCR = 1
_PAGE_BYTES = 4096


def _as_asked(number: int, beats: int) -> tuple[int, int]:
    """Send a burst's beats and mark the last of them."""
    del number
    return beats, beats - 1


@dataclass(frozen=True, kw_only=True)
class AxiBehaviour:
    """What an :class:`AxiSlave` does.

    Parameters
    ----------
    latency : int
        Cycles from taking a burst's address to its first beat at the earliest; the same from a
        burst's last written beat to its answer. At least 1.
    pauses : float
        Probability that a channel pauses in a cycle, on each of the five.
    mute : bool
        Nothing is answered; addresses and data are taken.
    deaf : bool
        Nothing is taken either.
    refuses : collection of int
        Byte addresses of beats that are not to be read, and whose bursts are not to be written.
    marks : callable
        Of the number of a burst that is read, and its beats: how many beats to send, and which of
        them to mark as the last.
    """

    latency: int = 1
    pauses: float = 0.0
    mute: bool = False
    deaf: bool = False
    refuses: Collection[int] = ()
    marks: Callable[[int, int], tuple[int, int]] = _as_asked


@dataclass(frozen=True)
class _Asked:
    """A burst that was asked for, and the cycle from which on it may be answered."""

    address: int
    beats: int
    number: int
    due: int


@dataclass(frozen=True)
class _Written:
    """A beat that was written: which bytes of which place."""

    address: int
    data: bytes
    strobe: int


class AxiSlave:
    """Serves bytes to an ``AxiReads`` and an ``AxiWrites``.

    What is written can be read when its burst has been answered, no earlier. Raises
    ``AssertionError`` if the manager breaks a rule: it withdraws or changes something it offers,
    leaves 4 KB or the memory, asks for too long a burst, or marks the wrong beat as the last.

    Parameters
    ----------
    reads, writes : interface
        The manager's channels.
    memory : bytearray
        What is at ``base`` and behind; writes change it.
    base : int
        Byte address on the bus.
    burst_beats : int
        The longest burst that the manager may ask for.
    behaviour : AxiBehaviour
        What it does.
    seed : int
        Of the pauses.
    """

    def __init__(
        self,
        reads: Any,
        writes: Any,
        memory: bytearray,
        *,
        base: int,
        burst_beats: int,
        behaviour: AxiBehaviour,
        seed: int = 0,
    ):
        self.memory = memory
        #: Address and beats of every burst that was read, and that was written.
        self.read: list[tuple[int, int]] = []
        self.written: list[tuple[int, int]] = []
        #: The most bursts of one direction that were under way at once.
        self.most = 0
        self._base = base
        self._burst_beats = burst_beats
        self._behaviour = behaviour
        self._rng = random.Random(f"{seed} slave")
        self._bytes = len(reads.rdata) // 8
        self._reads, self._writes = reads, writes
        self._bus = {"r": reads, "ar": reads, "aw": writes, "w": writes, "b": writes}
        self._fields = {
            channel: [getattr(self._bus[channel], channel + name) for name in names]
            for channel, names in {
                "ar": ("addr", "len", "size", "burst", "cache", "prot"),
                "aw": ("addr", "len", "size", "burst", "cache", "prot"),
                "w": ("data", "strb", "last"),
            }.items()
        }
        ready = [self._bus[channel].rready if channel == "r" else writes.bready for channel in "rb"]
        self.signals = [*ready]
        for channel, fields in self._fields.items():
            self.signals += [getattr(self._bus[channel], f"{channel}valid"), *fields]
        self._offered: dict[str, list[int]] = {}  # by the manager and not taken yet
        self._ready = dict.fromkeys(self._fields, False)
        self._asked: deque[_Asked] = deque()
        self._sent = 0  # beats of the first of them
        self._to_write: deque[_Asked] = deque()
        self._beats: deque[tuple[_Written, bool]] = deque()  # and whether it was marked as the last
        self._given: list[_Written] = []  # beats of the burst that is being written
        self._to_answer: deque[tuple[_Asked, list[_Written]]] = deque()
        self._valid = {"r": False, "b": False}

    @property
    def asked(self) -> int:
        """How many bursts were asked for, those included whose address has not been taken yet."""
        return len(self.read) + len(self.written) + len(self._offered.keys() & {"ar", "aw"})

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way."""
        under_way = (self._asked, self._to_write, self._beats, self._to_answer, self._given)
        return not any(under_way) and not any(self._valid.values())

    def before(self, ctx: Any, cycle: int) -> None:
        """Set this cycle's ``ready``, ``valid`` and answers."""
        does = self._behaviour
        for channel in self._ready:
            self._ready[channel] = not does.deaf and self._rng.random() >= does.pauses
            ctx.set(getattr(self._bus[channel], f"{channel}ready"), self._ready[channel])
        self._before_read(ctx, cycle)
        self._before_answer(ctx, cycle)

    def _before_read(self, ctx: Any, cycle: int) -> None:
        does, bus = self._behaviour, self._reads
        if self._valid["r"]:
            return
        if does.mute or not self._due(self._asked, cycle):
            ctx.set(bus.rvalid, 0)
            ctx.set(bus.rdata, self._rng.getrandbits(8 * self._bytes))
            ctx.set(bus.rresp, self._rng.getrandbits(2))
            ctx.set(bus.rlast, self._rng.getrandbits(1))
            return
        burst = self._asked[0]
        _, marked = does.marks(burst.number, burst.beats)
        address = burst.address + self._sent * self._bytes
        place = address - self._base
        refused = address in does.refuses
        data = b"" if refused else bytes(self.memory[place : place + self._bytes])
        ctx.set(bus.rdata, int.from_bytes(data, "little"))
        ctx.set(bus.rresp, self._rng.choice((_SLVERR, _DECERR)) if refused else _OKAY)
        ctx.set(bus.rlast, self._sent == marked)
        ctx.set(bus.rvalid, 1)
        self._valid["r"] = True

    def _before_answer(self, ctx: Any, cycle: int) -> None:
        does, bus = self._behaviour, self._writes
        if self._valid["b"]:
            return
        if does.mute or not self._due([burst for burst, _ in self._to_answer], cycle):
            ctx.set(bus.bvalid, 0)
            ctx.set(bus.bresp, self._rng.getrandbits(2))
            return
        burst, beats = self._to_answer[0]
        refused = any(beat.address in does.refuses for beat in beats)
        if not refused:
            for beat in beats:
                self._store(beat)
        ctx.set(bus.bresp, self._rng.choice((_SLVERR, _DECERR)) if refused else _OKAY)
        ctx.set(bus.bvalid, 1)
        self._valid["b"] = True

    def _due(self, bursts: Sequence[_Asked] | deque[_Asked], cycle: int) -> bool:
        pause = self._rng.random() < self._behaviour.pauses
        return bool(bursts) and bursts[0].due <= cycle and not pause

    def _store(self, beat: _Written) -> None:
        for n in range(self._bytes):
            if beat.strobe >> n & 1:
                self.memory[beat.address - self._base + n] = beat.data[n]

    def after(self, cycle: int, sampled: Sequence[Any]) -> None:
        """Take what was offered, and note which answers were taken."""
        values = deque(int(value) for value in sampled)
        if values.popleft() and self._valid["r"]:
            self._valid["r"] = False
            self._sent += 1
            beats, _ = self._behaviour.marks(self._asked[0].number, self._asked[0].beats)
            if self._sent == beats:
                self._asked.popleft()
                self._sent = 0
        if values.popleft() and self._valid["b"]:
            self._valid["b"] = False
            self._to_answer.popleft()
        for channel, fields in self._fields.items():
            valid = values.popleft()
            offer = [values.popleft() for _ in fields]
            if channel in self._offered:
                assert valid, f"{channel} withdrawn in cycle {cycle}"
                assert offer == self._offered[channel], f"{channel} changed in cycle {cycle}"
            self._offered.pop(channel, None)
            if valid and self._ready[channel]:
                self._take(channel, offer, cycle)
            elif valid:
                self._offered[channel] = offer
        self._match(cycle)
        writing = len(self._to_write) + len(self._to_answer)
        self.most = max(self.most, len(self._asked), writing)

    def _take(self, channel: str, offer: list[int], cycle: int) -> None:
        if channel == "w":
            data, strobe, last = offer
            # Where it goes is known when its address is.
            beat = _Written(0, data.to_bytes(self._bytes, "little"), strobe)
            self._beats.append((beat, bool(last)))
            return
        address, more, size, burst, cache, prot = offer
        beats, nbytes = more + 1, (more + 1) * self._bytes
        assert 1 << size == self._bytes, f"beats of {1 << size} bytes"
        assert (burst, cache, prot) == (_INCR, 0b0011, 0)
        assert beats <= self._burst_beats, f"a burst of {beats} beats"
        assert address % self._bytes == 0, f"{address:#x} is no beat's address"
        assert address // _PAGE_BYTES == (address + nbytes - 1) // _PAGE_BYTES, "4 KB are left"
        inside = self._base <= address and address + nbytes <= self._base + len(self.memory)
        assert inside, f"{beats} beats at {address:#x} are outside the memory"
        done = self.read if channel == "ar" else self.written
        asked = _Asked(address, beats, len(done), cycle + self._behaviour.latency)
        done.append((address, beats))
        (self._asked if channel == "ar" else self._to_write).append(asked)

    def _match(self, cycle: int) -> None:
        """Give written beats to the bursts that they belong to."""
        while self._to_write and self._beats:
            burst = self._to_write[0]
            beat, marked = self._beats.popleft()
            address = burst.address + len(self._given) * self._bytes
            self._given.append(_Written(address, beat.data, beat.strobe))
            whole = len(self._given) == burst.beats
            assert marked == whole, f"beat {len(self._given)} of {burst.beats} is marked wrongly"
            if whole:
                self._to_write.popleft()
                due = cycle + self._behaviour.latency
                done = _Asked(burst.address, burst.beats, burst.number, due)
                self._to_answer.append((done, self._given))
                self._given = []
