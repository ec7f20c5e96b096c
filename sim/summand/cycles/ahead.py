"""A walk whose beats are read ahead of its words, as where segments may be sparse."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from summand.cycles.drain import Background
from summand.cycles.inlet import Inlet
from summand.cycles.tables import Tables
from summand.cycles.timing import Timing
from summand.cycles.walked import Walked
from summand.isa import EngineConfig
from summand.isa.commands import Gemm
from summand.isa.patterns import SparsePattern
from summand.isa.segments import Segment
from summand.isa.walks import scale_beats

__all__ = ["walk_ahead"]


@dataclass(frozen=True)
class _Gather:
    """Chunks that are gathered at once.

    Parameters
    ----------
    beats : int
        Beats of the slice up to the last that it needs.
    word : bool
        Whether a word comes of them; else an index.
    left : int
        Words of the tile after that word.
    stays : int
        Cycles for which it stays.
    """

    beats: int
    word: bool
    left: int
    stays: int


def walk_ahead(
    gemm: Gemm,
    begin: int,
    start: int,
    inlet: Inlet,
    job: Background | None,
    config: EngineConfig,
    timing: Timing,
) -> Walked:
    """Walk a GEMM's slices; the arguments are those of :func:`~summand.cycles.walk.walk`.

    Beats are taken as they are wanted, in order. The front counts what each cycle brings, and what
    is left are cycles that wait for words to go.
    """
    reader = _Reader(begin, start, inlet, config, timing)
    gathers = list(_gathers(gemm.segments, config, timing))
    scales = scale_beats(gemm.segments, config)
    group = (gemm.group or gemm.slices) if scales else 1
    known: tuple[tuple[int, ...], int, int] | None = None  # state, last word, slice
    n = 0
    while n < gemm.slices:
        if n % group == 0:
            if inlet.steady and not job:
                state = reader.state()
                if known and known[0] == state:
                    skipped = (gemm.slices - n) // (n - known[2])
                    reader.advance(skipped * (reader.last_word - known[1]))
                    n += skipped * (n - known[2])
                    known = None
                    continue
                known = state, reader.last_word, n
            if scales:
                reader.take_scales(scales)
        reader.walk_slice(gathers, job)
        n += 1
        if job:
            job.advance(reader.last_word + 1)
            if job.settled:
                job = None
    load = scales * len(range(0, gemm.slices, group)) if scales else 0
    work = gemm.slices * gathers[-1].beats
    stream = reader.finish()
    table = reader.last_word - start - work - load - stream
    return Walked(work, load, table, stream, reader.last_word)


class _Reader:
    """When each gathering, beat and word of a walk comes."""

    def __init__(self, begin: int, start: int, inlet: Inlet, config: EngineConfig, timing: Timing):
        self._inlet = inlet
        self._timing = timing
        self._tables = Tables(begin, config, timing)
        self._released = begin
        self._start = start
        self._first = True
        self._given = start + timing.prime - 1  # when the last gathering was ordered
        self._gathered = deque([start] * timing.gathers, timing.gathers)
        self._words = deque([start] * timing.words, timing.words)
        self._beat = start  # when the last beat was taken
        self._stream = 0  # cycles in which no beat was there, up to that
        #: Cycle of the last word.
        self.last_word = start

    def state(self) -> tuple[int, ...]:
        """Return all times, relative to the last word's."""
        times = (self._given, self._beat, *self._gathered, *self._words, self._tables.earliest)
        return tuple(t - self.last_word for t in times)

    def advance(self, cycles: int) -> None:
        """Let everything come so much later, as after slices of which each is like the last."""
        self.last_word += cycles
        self._given += cycles
        self._beat += cycles
        self._released += cycles
        self._gathered = deque((t + cycles for t in self._gathered), self._timing.gathers)
        self._words = deque((t + cycles for t in self._words), self._timing.words)
        self._tables.earliest += cycles

    def take_scales(self, beats: int) -> None:
        """Take a group's scales, once the words before are gone; gatherings wait as well."""
        if not self._first:
            self._given = max(self._given, self.last_word)
        for _ in range(beats):
            self._take(self.last_word + 1)

    def walk_slice(self, gathers: list[_Gather], job: Background | None) -> None:
        """Walk one slice."""
        timing = self._timing
        ready = self._tables.ready(self._released)
        if self._first:
            ready, self._first = max(ready, self._start + timing.prime), False
        taken = 0
        for gather in gathers:
            given = self._given = max(self._given, self._gathered[0]) + 1
            for _ in range(taken, gather.beats):
                self._take(given + 1)
            taken = gather.beats
            at = max(given, self._beat, self._gathered[-1], self._words[0]) + 1
            self._gathered.append(at)
            if gather.word:
                word = max(at + timing.unpack, self.last_word + 1, ready) + gather.stays
                self._words.append(word)
                self.last_word = word
                if job:
                    if gather.left % timing.planes == 0:
                        job.words(word - timing.planes + 1, 1, timing.planes)
                    if not gather.left:
                        job.ends(word, 1, 1)
        self._released = self.last_word

    def finish(self) -> int:
        """End the walk with its last word; returns the cycles in which no beat was there."""
        if self._inlet.steady:
            self._inlet.take(self._beat)
            return 0
        after = min(self._inlet.valid, self.last_word + 1)
        return self._stream + max(0, after - self._beat - 1)

    def _take(self, earliest: int) -> None:
        """Take the next beat, from cycle ``earliest`` on."""
        cycle = max(earliest, self._beat + 1)
        if not self._inlet.steady:
            cycle = max(cycle, self._inlet.valid)
            self._stream += max(0, self._inlet.valid - self._beat - 1)
            self._inlet.take(cycle)
        self._beat = cycle


def _gathers(
    segments: tuple[Segment, ...], config: EngineConfig, timing: Timing
) -> Iterator[_Gather]:
    """Yield what is gathered for one slice."""
    before = 0  # beats of the segments before
    for s in segments:
        chunk = 0
        for _ in range(s.tiles):
            for chunks, word, left in _tile(s, config):
                chunk += chunks
                beats = before + -(-chunk // config.beat_chunks)
                stays = timing.stays(s.planes) if word and left == s.planes - 1 else 0
                yield _Gather(beats, word, left, stays)
        before += s.beats(config)


def _tile(segment: Segment, config: EngineConfig) -> Iterator[tuple[int, bool, int]]:
    """Yield a tile's gatherings: chunks, whether a word comes of them, and words after that."""
    index, values = 0, config.sparse_block
    if segment.kept:
        pattern = SparsePattern(kept=segment.kept, block=config.sparse_block)
        index, values = pattern.index_chunks, segment.kept
        if pattern.index_apart:
            yield index, False, segment.planes
            index = 0
    for left in reversed(range(segment.planes)):
        yield index + values, True, left
        index = 0
