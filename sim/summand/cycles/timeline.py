"""The engine's front, command by command: the sum of all terms of the cost law."""

from collections.abc import Iterable
from dataclasses import fields

from summand.cycles.ahead import walk_ahead
from summand.cycles.drain import NEVER, Background, ExtremesJob, StoreJob
from summand.cycles.inlet import Inlet
from summand.cycles.outlet import Outlet
from summand.cycles.pipeline import CastJob, RequantiseJob
from summand.cycles.stalls import NextTrue, Stalls
from summand.cycles.timing import Timing
from summand.cycles.walk import walk
from summand.isa import EngineConfig
from summand.isa.commands import Cast, Command, Fence, Gemm, Load, Requantise, Store
from summand.isa.packets import Counters, status_packet_bytes
from summand.isa.segments import SEGMENT_BYTES

__all__ = ["Timeline", "count"]


class Timeline:
    """Counts the cycles of commands, one after another. Cycle 0 is the first after reset.

    Every command must be one that the engine accepts.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    stalls : Stalls, optional
        When the source offers and the sink takes. With None they always do, and the count goes
        slice by slice instead of beat by beat.
    timing : Timing, optional
        The engine's pipelines, by default those of ``config``'s gateware.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        stalls: Stalls | None = None,
        timing: Timing | None = None,
    ):
        self._config = config
        self._timing = timing or Timing.of(config)
        self._inlet = Inlet(NextTrue(stalls.offered) if stalls else None)
        self._outlet = Outlet(NextTrue(stalls.ready) if stalls else None)
        self._job: Background | None = None
        self._status_sent = 0  # first cycle in which no STATUS packet is being written
        self._spent = dict.fromkeys((f.name for f in fields(Counters)), 0)

    @property
    def cycle(self) -> int:
        """The cycle from which on the front waits for the next command."""
        return self._spent["cycles"]

    @property
    def spent(self) -> Counters:
        """What the cycles before :attr:`cycle` went to."""
        return Counters(**self._spent)

    def run(self, command: Command) -> Counters | None:
        """Execute a command; returns what a FENCE reports, and None for the others."""
        self._take_header()
        match command:
            case Load():
                self._load(command)
            case Gemm():
                self._gemm(command)
            case Requantise():
                start = self._requantise(command)
                self._job = RequantiseJob(start, command, self._config, self._timing)
            case Cast():
                start = self._requantise(command)
                self._job = CastJob(start, command, self._config, self._timing)
            case Store():
                start = self._begin_in_background() + self._timing.begin
                kind = ExtremesJob if command.extremes else StoreJob
                self._job = kind(start, command, self._config, self._timing, self._outlet)
            case Fence():
                return self._fence()
        return None

    def await_host(self) -> None:
        """Let the source offer the next beat only after it has taken all output so far.

        This is a driver that reads all answers before it sends more, and needs no time for it.
        """
        self._idle_at()  # sends the output that is not sent yet
        self._inlet.hold(self._outlet.left + 1)

    def finish(self) -> int:
        """Return the first cycle in which everything is done, if no command follows."""
        return max(self.cycle, self._idle_at())

    def _spend(self, counter: str, cycles: int) -> None:
        self._spent[counter] += cycles
        self._spent["cycles"] += cycles

    def _wait(self, until: int) -> None:
        """Wait until cycle ``until``, because results have to leave first."""
        start = self.cycle
        if until > start:
            blocked = self._outlet.blocked(start, until)
            self._spend("output", blocked)
            self._spend("drain", until - start - blocked)

    def _take_beat(self, counter: str, cycles: int = 1) -> None:
        """Wait for a beat, spend ``cycles`` on it, and take it in the last of them."""
        self._spend("stream", max(0, self._inlet.valid - self.cycle))
        self._spend(counter, cycles)
        self._inlet.take(self.cycle - 1)

    def _take_beats(self, counter: str, items: int, per_beat: int) -> None:
        """Take ``items`` cycle by cycle, ``per_beat`` from each beat."""
        if self._inlet.steady:
            self._spend(counter, items)
            self._inlet.take(self.cycle - 1)
            return
        for done in range(0, items, per_beat):
            self._take_beat(counter, min(per_beat, items - done))

    def _take_header(self) -> None:
        for _ in range(self._config.header_beats):
            self._take_beat("header")
        self._spend("header", self._timing.decode)

    def _job_done_at(self) -> int:
        """Return the first cycle in which the background job is done, if no words come before."""
        if self._job is None:
            return 0
        self._job.advance(NEVER)
        return self._job.done_at

    def _idle_at(self) -> int:
        """Return the first cycle in which all results have left, if no words come before."""
        return max(self._status_sent, self._job_done_at())

    def _begin_in_background(self) -> int:
        """Wait until the background is idle; return the cycle in which the next job is ordered."""
        self._wait(self._idle_at() + self._timing.idle)
        self._spend("header", 1)
        return self.cycle - 1

    def _load(self, command: Load) -> None:
        if isinstance(self._job, RequantiseJob):
            self._wait(self._job_done_at())
        self._take_beats("load", command.rows * command.slices * self._config.slice_words, 1)

    def _gemm(self, command: Gemm) -> None:
        config, timing, job = self._config, self._timing, self._job
        if _meets(command, job):
            self._wait(self._job_done_at() + timing.conflict)
        self._spend("header", 1 + timing.begin)
        begin = self.cycle - 1
        entries = len(command.segments) + len(command.borders)
        if per_beat := config.beat_bytes // SEGMENT_BYTES:
            self._take_beats("header", entries, per_beat)
        else:
            self._take_beats("header", entries * (SEGMENT_BYTES // config.beat_bytes), 1)
        self._spend("header", timing.settle - 1)
        if job:
            job.advance(self.cycle)
            if command.touches(job.low, job.high):
                self._wait(job.read_all())
            if job.settled:
                job = None
        self._spend("header", 1 + timing.begin)
        law = walk_ahead if config.sparse_block and not command.stored else walk
        walked = law(command, begin, self.cycle - 1, self._inlet, job, config, timing)
        self._spend("work", walked.work)
        self._spend("load", walked.load)
        self._spend("table", walked.table)
        self._spend("stream", walked.stream)

    def _requantise(self, command: Requantise | Cast) -> int:
        """Take the parameters; returns the cycle in which accumulators begin to be read."""
        self._begin_in_background()
        self._spend("header", self._timing.begin)
        per_beat = self._config.stream_bits // 32
        self._take_beats("load", command.tiles * self._config.cols, per_beat)
        self._spend("header", self._timing.checked)
        return self.cycle - 1 + self._timing.begin

    def _fence(self) -> Counters:
        self._wait(self._idle_at() + self._timing.idle)
        counters = self.spent  # the counters in the packet lag the front as much as the packet does
        start = self.cycle + self._timing.begin
        self._spend("header", 1)
        for _ in range(status_packet_bytes(self._config) // self._config.beat_bytes):
            self._status_sent = self._outlet.push(start + 1) + 1
        return counters


def _meets(gemm: Gemm, job: Background | None) -> bool:
    """Whether a GEMM reads what a job in the background writes: activations, or the operand."""
    match job:
        case RequantiseJob():
            end = gemm.from_slice + gemm.slices
            return gemm.from_slice < job.acts_high and end > job.acts_low
        case CastJob():
            return gemm.stored
        case _:
            return False


def count(
    commands: Iterable[Command], config: EngineConfig, *, stalls: Stalls | None = None
) -> tuple[Counters, ...]:
    """Return the counters that each FENCE among ``commands`` reports, from reset on."""
    timeline = Timeline(config, stalls=stalls)
    return tuple(c for command in commands if (c := timeline.run(command)))
