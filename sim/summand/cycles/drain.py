"""Jobs in the background: the packet of a STORE, and the new activations of a REQUANTISE."""

from collections import deque

from summand.cycles.calendar import Calendar
from summand.cycles.outlet import Outlet
from summand.cycles.timing import Timing
from summand.isa import EngineConfig
from summand.isa.commands import Requantise, Store

__all__ = ["Background", "RequantiseJob", "StoreJob"]

#: Later than any cycle.
NEVER = 1 << 62


class Background:
    """Reads accumulator tiles in free slots; a subclass takes the tiles.

    A slot is a cycle in which no word that ends a tile enters the array. Grant ``k`` orders tile
    ``k`` to be read. It waits for grant ``k - 1``, for a slot, and for room: until tile
    ``k - room`` has been taken.

    Parameters
    ----------
    start : int
        Cycle in which the job begins.
    command : Requantise or Store
        Names the tiles.
    """

    def __init__(
        self, start: int, command: Requantise | Store, config: EngineConfig, timing: Timing
    ):
        self.start = start
        self.low, self.high = command.tile, command.tile + command.tiles
        self._timing = timing
        self._tiles = command.tiles
        self._total = command.tiles * command.rows
        self._slots = Calendar()  # words that end a tile
        self._bus = Calendar()  # all words
        self._granted = 0  # tiles
        self._last_grant = start
        self._arrivals: deque[int] = deque()  # of tiles granted and not taken
        self._returned: deque[int] = deque()  # when tiles not yet asked for again were taken

    def advance(self, horizon: int) -> None:
        """Go on as far as the words that enter before cycle ``horizon`` determine."""
        self._slots.horizon = self._bus.horizon = horizon + self._timing.word
        while self._grant() or self._take():
            pass

    def words(self, first: int, step: int, count: int) -> None:
        """Note ``count`` words that enter from cycle ``first`` on, ``step`` apart."""
        self._bus.take(first + self._timing.word, step, count)

    def ends(self, first: int, step: int, count: int) -> None:
        """Note which of the words end a tile: ``count`` from ``first`` on, ``step`` apart."""
        self._slots.take(first + self._timing.word, step, count)

    def read_all(self) -> int:
        """Return the first cycle in which all tiles have been read, if no words come before."""
        self._slots.horizon = self._bus.horizon = NEVER
        while self._granted < self._total:
            if not self._grant():
                self._take()
        return self._last_grant + 1

    @property
    def done_at(self) -> int:
        """The first cycle in which the command is done. Valid after ``advance(NEVER)``."""
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """Whether words that enter later change nothing about this job."""
        return self._granted == self._total

    def _grant(self) -> bool:
        """Grant the next tile if its cycle is known."""
        if self._granted == self._total:
            return False
        earliest = self._last_grant + 1
        if self._granted >= self._timing.room:
            if not self._returned:
                return False
            earliest = max(earliest, self._returned[0] + self._timing.credit)
        slot = self._slots.free(earliest)
        if slot is None:
            return False
        if self._granted >= self._timing.room:
            self._returned.popleft()
        self._arrivals.append(slot + self._timing.answer(self._granted // self._tiles))
        self._last_grant = slot
        self._granted += 1
        return True

    def _take(self) -> bool:
        """Take the next tile that has arrived, if its cycle is known."""
        raise NotImplementedError


class StoreJob(Background):
    """A DATA packet: its header, then tiles packed into beats.

    A tile as wide as a beat or wider is sent in parts, a beat a cycle. Narrower ones are gathered,
    a tile a cycle; the packet's last beat is filled up, a tile's place a cycle. A whole beat waits
    in a register until it leaves.
    """

    def __init__(
        self,
        start: int,
        command: Store,
        config: EngineConfig,
        timing: Timing,
        outlet: Outlet,
    ):
        super().__init__(start, command, config, timing)
        self._outlet = outlet
        tile_bits = config.cols * 32
        self._parts = tile_bits // config.stream_bits  # of a tile, or 0
        self._places = config.stream_bits // tile_bits  # of a beat, where tiles are gathered
        self._filled = 0
        self._taken = 0
        self._last_take = self._beat_left = start
        for _ in range(config.header_beats):
            self._sent = outlet.push(start + 1)

    @property
    def done_at(self) -> int:
        """The first cycle in which the packet has been written. Valid after ``advance(NEVER)``."""
        return self._sent + 1

    def read_all(self) -> int:
        """Return the first cycle in which all tiles have been read, if no words come before."""
        read = super().read_all()
        while self._take():  # later words change nothing
            pass
        return read

    def _take(self) -> bool:
        if not self._arrivals:
            return False
        arrived = self._arrivals.popleft()
        self._taken += 1
        if self._parts:
            for _ in range(self._parts):
                self._sent = self._outlet.push(arrived)
            self._returned.append(self._sent)
            return True
        # The piece that makes a beat whole waits until the beat before has left.
        taken = max(arrived, self._last_take + 1)
        if self._filled == self._places - 1:
            taken = max(taken, self._beat_left + 1)
        self._returned.append(taken)
        self._last_take = taken
        self._filled += 1
        if self._taken == self._total and self._filled < self._places:
            taken = max(taken + self._places - self._filled, self._beat_left + 1)
            self._filled = self._places
        if self._filled == self._places:
            self._sent = self._beat_left = self._outlet.push(taken + 1)
            self._filled = 0
        return True


class RequantiseJob(Background):
    """Tiles through the requantiser's pipeline, an accumulator a cycle, to words of activations.

    A tile is held while its accumulators enter; the next is taken after that. The pipeline stops
    while a row's last word is filled up with zeros, and while a word waits for a cycle without a
    plane word. Time is therefore counted in ticks, the cycles in which the pipeline moves: an
    accumulator always takes ``timing.requantise`` ticks from the tile to the word. ``_lag`` is the
    number of cycles in which the pipeline has stopped so far.
    """

    def __init__(self, start: int, command: Requantise, config: EngineConfig, timing: Timing):
        super().__init__(start, command, config, timing)
        self._cols = config.cols
        self._word = config.beat_elems
        self._features = command.tiles * config.cols  # of a row
        self._rows = command.rows
        #: Slices written.
        self.acts_low = command.to_slice
        self.acts_high = command.to_slice + -(-self._features // config.depth)
        self._lag = 0
        self._tick = start  # the tick in which the last accumulator entered
        self._floor = 0  # the first tick after the last stop
        self._left = self._features  # accumulators of this row that have not entered
        self._filled = 0  # accumulators that have entered for a word that is not complete
        self._empty: int | None = start  # the first cycle that can hold a tile, if known
        self._held: int | None = None  # when the tile that is held was taken
        self._ends: deque[tuple[int, int]] = deque()  # of words: tick, and elements of padding
        self._written = start  # when the last word was written

    @property
    def done_at(self) -> int:
        """The first cycle in which all words have landed. Valid after ``advance(NEVER)``."""
        return self._written + self._timing.landing

    @property
    def settled(self) -> bool:
        """Whether all words have been written."""
        return not self._rows and not self._ends

    def _take(self) -> bool:
        if self._empty is None:  # the cycle of the last accumulator's tick is not known yet
            if self._ends and self._ends[0][0] < self._tick:
                return self._end_word()
            self._empty = self._tick + self._lag + 1
            return True
        if self._held is None:
            if not self._arrivals:
                # A tile that has not arrived yet may enter before the pipeline stops.
                return not self._rows and self._end_word()
            self._held = max(self._arrivals.popleft(), self._empty)
            self._returned.append(self._held)
            return True
        first = max(self._tick + 1, self._floor, self._held + self._timing.hold - self._lag)
        if self._ends and self._ends[0][0] < first:
            return self._end_word()
        self._enter(first)
        self._held = self._empty = None
        return True

    def _enter(self, first: int) -> None:
        """Let a tile's accumulators in, from tick ``first`` on; note the words that they end."""
        tile_end = first + self._cols
        self._left -= self._cols
        while (end := first + self._word - self._filled) <= tile_end:
            self._ends.append((end - 1 + self._timing.requantise, 0))
            first, self._filled = end, 0
        self._filled += tile_end - first
        self._tick = tile_end - 1
        if not self._left:
            if self._filled:
                padding = self._word - self._filled
                self._ends.append((self._tick + self._timing.requantise, padding))
            self._filled, self._left = 0, self._features
            self._rows -= 1

    def _end_word(self) -> bool:
        """Write the first word that is not yet written, if its cycle is known."""
        if not self._ends:
            return False
        tick, padding = self._ends[0]
        cycle = tick + self._lag
        written = self._bus.free(cycle + padding + 1)
        if written is None:
            return False
        self._ends.popleft()
        self._lag += written + self._timing.word_hold - cycle - 1
        self._floor = tick + 1
        self._written = written
        return True
