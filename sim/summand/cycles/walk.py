"""A GEMM's walk: when each plane word enters the array."""

from summand.cycles.drain import Background
from summand.cycles.inlet import Inlet
from summand.cycles.tables import Tables
from summand.cycles.timing import Timing
from summand.cycles.walked import Walked
from summand.isa import EngineConfig
from summand.isa.commands import Gemm
from summand.isa.walks import scale_beats

__all__ = ["walk"]


def walk(
    gemm: Gemm,
    begin: int,
    start: int,
    inlet: Inlet,
    job: Background | None,
    config: EngineConfig,
    timing: Timing,
) -> Walked:
    """Walk a GEMM's slices, in groups that begin with their scales.

    Beats are taken from the cycle after the walk's beginning on, one a cycle; a word's last beat
    waits for the tables. Words of the operand come one a cycle, whatever the source does.

    Parameters
    ----------
    begin, start : int
        Cycles in which the tables and the walk begin.
    job : Background, optional
        The job in the background. It is told of the words until it is settled.
    """
    beats = 1 if gemm.stored else config.plane_beats
    steady = gemm.stored or inlet.steady
    scales = scale_beats(gemm.segments, config)
    load = 0
    tables = Tables(begin, config, timing)
    released = start
    table = stream = 0
    for n in range(gemm.slices):
        ready = tables.ready(released if n else begin)
        if not n:
            ready = max(ready, start + timing.prime)
        new_group = scales if n % (gemm.group or gemm.slices) == 0 else 0
        load += new_group
        if steady:
            there = released + new_group + beats  # the first word's last beat
            first = max(there, ready)
            released = _steady_slice(gemm, first, job, beats, timing)
            table += released - there - (gemm.words - 1) * beats
        else:
            now = released + 1
            for _ in range(new_group):
                there = max(now, inlet.valid)
                stream += there - now
                inlet.take(there)
                now = there + 1
            stalled = _stalled_slice(gemm, now, ready, inlet, job, beats, timing)
            table += stalled.table
            stream += stalled.stream
            released = stalled.end
        if job:
            job.advance(released + 1)
            if job.settled:
                job = None
    if inlet.steady and not gemm.stored:
        inlet.take(released)
    return Walked(gemm.slices * gemm.words * beats, load, table, stream, released)


def _steady_slice(
    gemm: Gemm, first: int, job: Background | None, beats: int, timing: Timing
) -> int:
    """Walk one slice without a wait from cycle ``first`` on; returns the cycle of its last word.

    The job is told of its words: where each is a beat and the element takes them as they come, all
    at once, else those that the element takes at once.
    """
    for s in gemm.segments:
        tile = timing.stays(s.planes) + s.planes * beats
        if job:
            end = first + tile - beats  # of the first tile
            if timing.planes == 1:
                job.words(first, beats, s.words)
            elif beats == 1:
                job.words(first, 1, tile * s.tiles)
            else:
                for n in range(s.tiles):
                    for left in reversed(range(0, s.planes, timing.planes)):
                        _turn(job, end + n * tile - left * beats, timing)
            job.ends(end, tile, s.tiles)
        first += tile * s.tiles
    return first - beats


def _turn(job: Background, last: int, timing: Timing) -> None:
    """Tell the job of the words that the element takes at once, the last one in cycle ``last``."""
    job.words(last - timing.planes + 1, 1, timing.planes)


def _stalled_slice(
    gemm: Gemm,
    now: int,
    ready: int,
    inlet: Inlet,
    job: Background | None,
    beats: int,
    timing: Timing,
) -> Walked:
    """Walk one slice beat by beat, as the source offers them from cycle ``now`` on."""
    table = stream = 0
    for s in gemm.segments:
        for word in range(s.words):
            left = -(word + 1) % s.planes  # of the tile's words
            stays = timing.stays(s.planes) if left == s.planes - 1 else 0
            for beat in range(beats):
                there = max(now, inlet.valid)
                stream += there - now
                taken = max(there, ready) + stays if beat == beats - 1 else there
                table += taken - there
                inlet.take(taken)
                now = taken + 1
            if job:
                if left % timing.planes == 0:
                    _turn(job, now - 1, timing)
                if not left:
                    job.ends(now - 1, 1, 1)
    return Walked(gemm.words * beats, 0, table, stream, now - 1)
