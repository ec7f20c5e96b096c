"""Jobs in the background, which read accumulators: the packet of a STORE, and what others share."""

from collections import deque

from summand.cycles.calendar import Calendar
from summand.cycles.outlet import Outlet
from summand.cycles.timing import Timing
from summand.isa import EngineConfig
from summand.isa.commands import Cast, Requantise, Store

__all__ = ["NEVER", "Background", "ExtremesJob", "StoreJob"]

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
    command : Requantise, Cast or Store
        Names the tiles.
    """

    def __init__(
        self,
        start: int,
        command: Requantise | Cast | Store,
        config: EngineConfig,
        timing: Timing,
    ):
        self.start = start
        self.low, self.high = command.tile, command.tile + command.tiles
        self._timing = timing
        self._tiles = command.tiles
        self._total = command.tiles * command.rows
        self._slots = Calendar()  # words that end a tile
        self._bus = Calendar()  # all words
        self._granted = 0  # tiles
        self._last_grant = start + timing.rest
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


class _PacketJob(Background):
    """A DATA packet: its header, then what a subclass makes of tiles."""

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


class StoreJob(_PacketJob):
    """A DATA packet: its header, then tiles packed into beats.

    A tile as wide as a beat or wider is sent in parts, a beat a cycle. Narrower ones are gathered,
    a tile a cycle; the packet's last beat is filled up, a tile's place a cycle. A whole beat waits
    in a register until it leaves. Where a tile is sent in limbs, each of them is such a part, or
    is gathered so.
    """

    def __init__(
        self,
        start: int,
        command: Store,
        config: EngineConfig,
        timing: Timing,
        outlet: Outlet,
    ):
        super().__init__(start, command, config, timing, outlet)
        piece_bits = config.cols * (config.limb_bits or 32)
        self._pieces = command.limbs or 1  # of a tile
        self._parts = piece_bits // config.stream_bits  # of a piece, or 0
        self._places = config.stream_bits // piece_bits  # of a beat, where pieces are gathered
        self._filled = 0
        self._taken = 0
        self._last_take = self._beat_left = start

    def _take(self) -> bool:
        if not self._arrivals:
            return False
        arrived = self._arrivals.popleft()
        self._taken += 1
        if self._parts:
            for _ in range(self._parts * self._pieces):
                self._sent = self._outlet.push(arrived)
            self._returned.append(self._sent)
            return True
        for _ in range(self._pieces):
            self._gather(arrived)
        self._returned.append(self._last_take)
        if self._taken == self._total and self._filled:
            self._send(self._last_take + self._places - self._filled)
        return True

    def _gather(self, arrived: int) -> None:
        """Take a piece; the one that makes a beat whole waits until the beat before has left."""
        taken = max(arrived, self._last_take + 1)
        self._filled += 1
        if self._filled == self._places:
            taken = max(taken, self._beat_left + 1)
            self._send(taken)
        self._last_take = taken

    def _send(self, whole: int) -> None:
        """Send the beat that is whole in cycle ``whole``, or when the beat before has left."""
        self._sent = self._beat_left = self._outlet.push(max(whole, self._beat_left + 1) + 1)
        self._filled = 0


class ExtremesJob(_PacketJob):
    """A DATA packet of two accumulators of each bin.

    A tile is taken in as many cycles as it has columns. Two cycles after a bin's last tile has
    been taken its beats begin to leave; the next bin begins behind them.
    """

    def __init__(
        self,
        start: int,
        command: Store,
        config: EngineConfig,
        timing: Timing,
        outlet: Outlet,
    ):
        super().__init__(start, command, config, timing, outlet)
        self._config = config
        self._of_bin = 0  # tiles of the bin that have been taken
        self._free = start  # the first cycle in which a tile's first column can be taken

    def _take(self) -> bool:
        if not self._arrivals:
            return False
        config = self._config
        taken = max(self._arrivals.popleft(), self._free) + config.cols - 1
        self._returned.append(taken)
        self._free = taken + 1
        self._of_bin += 1
        if self._of_bin == config.bin_tiles:
            self._of_bin = 0
            for _ in range(config.header_beats):
                self._sent = self._outlet.push(taken + 2)
            self._free = self._sent + 1
        return True
