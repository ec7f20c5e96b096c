"""A user of a memory's port, an ``AxiMemory``, and the memory behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from summand.rtl.memory.axi.bus import PAGE_BITS, AxiConfig
from summand.rtl.memory.axi.memory import AxiMemory
from summand.testing.axi import AxiBehaviour, AxiSlave
from summand.testing.streams import Sink, Source, simulate

#: A memory that does all at once.
PROMPT = AxiBehaviour()


@dataclass(frozen=True)
class Work:
    """Runs that a user asks for: address and beats, and address and what is written."""

    reads: Sequence[tuple[int, int]] = ()
    writes: Sequence[tuple[int, Sequence[int]]] = ()


@dataclass
class Done:
    """What came of it."""

    #: Data and mark of every beat that was read.
    beats: list[tuple[int, bool]] = field(default_factory=list)
    #: Beats that were taken to be written.
    taken: int = 0
    #: Cycles in which ``failed`` was high.
    failed: int = 0
    #: When beats were read, and when they were written.
    arrived: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


#: Beats of the memory.
BEATS = 4096
#: Where the memory is on the bus, in 4 KB.
PAGE = 0x12345


def on_the_bus(config: AxiConfig, beat: int, page: int = PAGE) -> int:
    """Return the byte address on the bus of a beat."""
    return (page << PAGE_BITS) + beat * config.stream_bits // 8


class Bench:
    """Gives an :class:`AxiMemory` work, and checks ``idle`` in every cycle."""

    def __init__(
        self,
        config: AxiConfig,
        behaviour: AxiBehaviour = PROMPT,
        *,
        page: int = PAGE,
        pauses: float = 0.0,
        seed: int = 0,
        patience: int = 10_000,
    ):
        self.config = config
        self.dut = AxiMemory(config)
        self.port = self.dut.port
        self.nbytes = config.stream_bits // 8
        self.page = page
        self.pauses = pauses
        self.seed = seed
        self.patience = patience  # cycles in which work must end
        self.memory = bytearray((7 * n + n // 256) % 256 for n in range(BEATS * self.nbytes))
        self.slave = AxiSlave(
            self.dut.reads,
            self.dut.writes,
            self.memory,
            base=page << PAGE_BITS,
            burst_beats=config.burst_beats,
            behaviour=behaviour,
            seed=seed,
        )
        #: Number of a burst to which a test's memory gives a mark of its own.
        self.odd: int | None = None
        self.cycle = 0
        self._took = False  # a run, in the cycle before

    def word(self, address: int) -> int:
        """Return a beat of the memory."""
        place = address * self.nbytes
        return int.from_bytes(self.memory[place : place + self.nbytes], "little")

    def run(self, script: Callable[..., Any]) -> None:
        """Run ``script``, an ``async`` function of this bench and the simulator's context."""

        async def bench(ctx):
            ctx.set(self.dut.base, self.page)
            self._give(Work())
            await self._step(ctx)  # out of reset `idle` is still low
            await script(self, ctx)

        simulate(self.dut, bench)

    def _give(self, work: Work) -> None:
        seeds = {"p_stall": self.pauses, "seed": self.seed}
        data = [word for _, words in work.writes for word in words]
        runs = [[{"address": a, "beats": n} for a, n in work.reads]]
        runs += [[{"address": a, "beats": len(words)} for a, words in work.writes]]
        self.reads = Source(self.port.reads, runs[0], **seeds)
        self.writes = Source(self.port.writes, runs[1], **seeds)
        self.data = Source(self.port.data, data, **seeds)
        self.beats = Sink(self.port.beats, **seeds)
        self.failed = 0

    async def _step(self, ctx: Any) -> bool:
        """Run a cycle; returns whether ``idle`` was high."""
        ends = (self.reads, self.writes, self.data, self.beats)
        for end in ends:
            end.before(ctx)
        self.slave.before(ctx, self.cycle)
        signals = [signal for end in ends for signal in end.signals]
        sampled = await ctx.tick().sample(
            self.port.idle, self.port.failed, self.port.abort, *signals, *self.slave.signals
        )
        idle, failed, abort, reads, writes, data, valid, payload, *bus = sampled[2:]
        taken = len(self.reads.sent) + len(self.writes.sent)
        self.reads.after(self.cycle, [reads])
        self.writes.after(self.cycle, [writes])
        self.data.after(self.cycle, [data])
        self.beats.after(self.cycle, [valid, payload])
        self.slave.after(self.cycle, bus)
        self.failed += failed
        if abort:
            assert not any((reads, writes, data, valid)), f"not aborted in cycle {self.cycle}"
        assert not (idle and self._took), f"idle after a run was taken, in cycle {self.cycle}"
        assert not idle or self.slave.quiet, f"idle while bursts are under way: {self.cycle}"
        self._took = len(self.reads.sent) + len(self.writes.sent) > taken
        self.cycle += 1
        return bool(idle)

    def _done(self) -> Done:
        beats = [(beat.data, bool(beat.failed)) for beat in self.beats.beats]
        sent = len(self.data.sent)
        return Done(beats, sent, self.failed, self.beats.arrived, self.data.sent)

    async def do(self, ctx: Any, work: Work, *, begun: int = 0) -> Done:
        """Do ``work`` to its end; ``begun`` beats were asked for and not taken before."""
        self._give(work)
        for _ in range(self.patience):
            idle = await self._step(ctx)
            asked = len(self.reads.sent) + len(self.writes.sent)
            if idle and not self._took and asked == len(work.reads) + len(work.writes):
                break
        else:
            raise TimeoutError(f"not idle after {self.patience} cycles")
        done = self._done()
        assert len(done.beats) == sum((beats for _, beats in work.reads), begun)
        assert done.taken == sum(len(words) for _, words in work.writes)
        return done

    async def abort(self, ctx: Any, work: Work, cycles: int) -> Done:
        """Do ``work`` for so many cycles, then end it."""
        self._give(work)
        for _ in range(cycles):
            await self._step(ctx)
        done = self._done()
        ctx.set(self.port.abort, 1)
        # What was offered is withdrawn, and nobody takes anything.
        self.beats = Sink(self.port.beats, p_stall=1.0)
        if cycles % 2:  # else data goes on being offered
            self.data = Source(self.port.data, [])
        idle = await self._step(ctx)
        asked = self.slave.asked
        for _ in range(self.patience):
            if idle:
                break
            idle = await self._step(ctx)
        else:
            raise TimeoutError(f"not idle after {self.patience} cycles of an abort")
        assert self.slave.asked == asked, "a burst was begun in an abort"
        done.failed = self.failed
        self._give(Work())
        ctx.set(self.port.abort, 0)
        return done

    async def watch(self, ctx: Any, work: Work, cycles: int, *, taking: bool = True) -> Done:
        """Do ``work`` for so many cycles, and check that it does not end.

        Without ``taking`` nobody takes what is read.
        """
        self._give(work)
        self.beats = Sink(self.port.beats, p_stall=self.pauses if taking else 1.0)
        await self._step(ctx)
        for _ in range(cycles):
            assert not await self._step(ctx), "idle"
        return self._done()
