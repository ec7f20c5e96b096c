"""Jobs of the requantiser's pipeline: a REQUANTISE's activations, and a CAST's weights."""

from collections import deque

from summand.cycles.drain import Background
from summand.cycles.timing import Timing
from summand.isa import EngineConfig
from summand.isa.commands import Cast, Requantise

__all__ = ["CastJob", "PipelineJob", "RequantiseJob"]


class PipelineJob(Background):
    """Tiles through the requantiser's pipeline, an accumulator a cycle, to pieces that are written.

    A tile is held while its accumulators enter; the next is taken after that. The pipeline stops
    while a piece cannot leave. Time is therefore counted in ticks, the cycles in which the pipeline
    moves: an accumulator always takes ``timing.requantise`` ticks from the tile to the piece.
    ``_lag`` is the number of cycles in which the pipeline has stopped so far.

    A subclass says in :meth:`_note` which pieces a tile ends, and when they are written.
    """

    def __init__(
        self, start: int, command: Requantise | Cast, config: EngineConfig, timing: Timing
    ):
        super().__init__(start, command, config, timing)
        self._cols = config.cols
        self._lag = 0
        self._tick = start  # the tick in which the last accumulator entered
        self._floor = 0  # the first tick after the last stop
        self._entered = 0  # tiles
        self._empty: int | None = start  # the first cycle that can hold a tile, if known
        self._held: int | None = None  # when the tile that is held was taken
        self._ends: deque[tuple[int, int]] = deque()  # of pieces: tick, and elements of padding
        self._written = start  # when the last piece was written

    @property
    def done_at(self) -> int:
        """The first cycle in which all pieces have landed. Valid after ``advance(NEVER)``."""
        return self._written + self._timing.landing

    def _take(self) -> bool:
        if self._empty is None:  # the cycle of the last accumulator's tick is not known yet
            if self._ends and self._ends[0][0] < self._tick:
                return self._end_piece()
            self._empty = self._tick + self._lag + 1
            return True
        if self._held is None:
            if not self._arrivals:
                # A tile that has not arrived yet may enter before the pipeline stops.
                return self._entered == self._total and self._end_piece()
            self._held = max(self._arrivals.popleft(), self._empty)
            self._returned.append(self._held)
            return True
        first = max(self._tick + 1, self._floor, self._held + self._timing.hold - self._lag)
        if self._ends and self._ends[0][0] < first:
            return self._end_piece()
        self._tick = first + self._cols - 1
        self._entered += 1
        self._note(first)
        self._held = self._empty = None
        return True

    def _note(self, first: int) -> None:
        """Note the pieces that end with a tile whose accumulators enter from tick ``first`` on."""
        raise NotImplementedError

    def _end_piece(self) -> bool:
        """Write the first piece that is not yet written, if its cycle is known."""
        if not self._ends:
            return False
        tick, padding = self._ends[0]
        cycle = tick + self._lag
        goes_on = self._write(cycle, padding)
        if goes_on is None:
            return False
        self._ends.popleft()
        self._lag += goes_on - cycle - 1
        self._floor = tick + 1
        return True

    def _write(self, cycle: int, padding: int) -> int | None:
        """Write a piece whose last element is there in ``cycle``.

        Returns the first cycle after that in which the pipeline moves, or None if that is not known
        yet.
        """
        raise NotImplementedError


class RequantiseJob(PipelineJob):
    """Words of activations.

    The pipeline stops while a row's last word is filled up with zeros, and while a word waits for a
    cycle without a plane word.
    """

    def __init__(self, start: int, command: Requantise, config: EngineConfig, timing: Timing):
        super().__init__(start, command, config, timing)
        self._word = config.beat_elems
        self._features = command.tiles * config.cols  # of a row
        #: Slices written.
        self.acts_low = command.to_slice
        self.acts_high = command.to_slice + -(-self._features // config.depth)
        self._left = self._features  # accumulators of this row that have not entered
        self._filled = 0  # accumulators that have entered for a word that is not complete

    @property
    def settled(self) -> bool:
        """Whether all words have been written."""
        return self._entered == self._total and not self._ends

    def _note(self, first: int) -> None:
        tile_end = first + self._cols
        self._left -= self._cols
        while (end := first + self._word - self._filled) <= tile_end:
            self._ends.append((end - 1 + self._timing.requantise, 0))
            first, self._filled = end, 0
        self._filled += tile_end - first
        if not self._left:
            if self._filled:
                padding = self._word - self._filled
                self._ends.append((self._tick + self._timing.requantise, padding))
            self._filled, self._left = 0, self._features

    def _write(self, cycle: int, padding: int) -> int | None:
        written = self._bus.free(cycle + padding + 1)
        if written is None:
            return None
        self._written = written
        return written + self._timing.word_hold


class CastJob(PipelineJob):
    """Tiles of weights, written to the operand plane by plane.

    A whole tile leaves the pipeline when the tile before has been written, a plane a cycle; else
    the pipeline stops.
    """

    def __init__(self, start: int, command: Cast, config: EngineConfig, timing: Timing):
        super().__init__(start, command, config, timing)
        self._planes = command.planes

    def _note(self, first: int) -> None:
        self._ends.append((self._tick + self._timing.requantise, 0))

    def _write(self, cycle: int, padding: int) -> int | None:
        leaves = max(cycle + 1, self._written)
        self._written = leaves + self._planes
        return leaves
