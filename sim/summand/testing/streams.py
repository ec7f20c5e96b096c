"""Drive and watch components on Amaranth's own simulator, one cycle at a time."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth import Value
from amaranth.sim import Simulator

__all__ = [
    "FLOWING",
    "STALLS",
    "Flow",
    "Sink",
    "Source",
    "Stalls",
    "run_stream",
    "simulate",
    "trace",
]


@dataclass(frozen=True)
class Stalls:
    """How a test stalls a stream.

    Parameters
    ----------
    i, o : float
        Probability that the source, or the sink, stalls in a cycle.
    shy : bool
        The sink is ready only after it has seen ``valid``: a component that waits for ``ready``
        hangs.
    """

    i: float = 0.0
    o: float = 0.0
    shy: bool = False


#: No stalls.
FLOWING = Stalls()

#: The stalls with which every streaming component is tested.
STALLS = (
    FLOWING,
    Stalls(i=0.3, o=0.3),
    Stalls(i=0.8),
    Stalls(o=0.8),
    Stalls(i=0.2, shy=True),
)


class Source:
    """Feeds ``beats`` into a stream, with random payloads while nothing is valid."""

    def __init__(self, port: Any, beats: Iterable[Any], *, p_stall: float = 0.0, seed: int = 0):
        self.port = port
        self.signals = (port.ready,)
        #: Cycles in which a beat was taken.
        self.sent: list[int] = []
        self._beats = iter(beats)
        self._p_stall = p_stall
        self._rng = random.Random(f"{seed} source")
        self._valid = False

    def before(self, ctx: Any) -> None:
        """Set this cycle's ``valid`` and ``payload``; a beat stays until it is taken."""
        if self._valid:
            return
        if self._rng.random() >= self._p_stall:
            for beat in self._beats:
                ctx.set(self.port.payload, beat)
                ctx.set(self.port.valid, 1)
                self._valid = True
                return
        raw = Value.cast(self.port.payload)
        ctx.set(raw, self._rng.getrandbits(len(raw)))
        ctx.set(self.port.valid, 0)

    def after(self, cycle: int, sampled: Sequence[Any]) -> None:
        """Note whether the beat was taken."""
        (ready,) = sampled
        if self._valid and ready:
            self.sent.append(cycle)
            self._valid = False


class Sink:
    """Takes beats out of a stream and checks that none is withdrawn or changed."""

    def __init__(self, port: Any, *, p_stall: float = 0.0, shy: bool = False, seed: int = 0):
        self.port = port
        self.signals = (port.valid, port.payload)
        self.beats: list[Any] = []
        #: Cycles in which beats were taken.
        self.arrived: list[int] = []
        self._p_stall = p_stall
        self._shy = shy
        self._rng = random.Random(f"{seed} sink")
        self._ready = False
        self._waiting: Any = None

    def before(self, ctx: Any) -> None:
        """Set this cycle's ``ready``."""
        self._ready = self._rng.random() >= self._p_stall
        if self._shy and self._waiting is None:
            self._ready = False
        ctx.set(self.port.ready, self._ready)

    def after(self, cycle: int, sampled: Sequence[Any]) -> None:
        """Keep the beat if one moved; raises ``AssertionError`` if a stream rule is broken."""
        valid, payload = sampled
        if self._waiting is not None:
            assert valid, f"beat withdrawn in cycle {cycle}"
            assert payload == self._waiting, f"beat changed in cycle {cycle}"
        self._waiting = payload if valid and not self._ready else None
        if valid and self._ready:
            self.beats.append(payload)
            self.arrived.append(cycle)


@dataclass
class Flow:
    """What a stream did: the beats that came, and when beats went in and came out."""

    beats: list[Any] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)


def simulate(dut: Any, bench: Callable[..., Any]) -> None:
    """Run ``dut`` with one testbench, an ``async`` function of the simulator's context."""
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


def run_stream(
    dut: Any,
    beats: Sequence[Any],
    count: int,
    *,
    stalls: Stalls = FLOWING,
    seed: int = 0,
    max_cycles: int = 10_000,
    setup: Callable[[Any], Any] | None = None,
) -> Flow:
    """Feed ``beats`` into ``dut.i`` and take ``count`` beats from ``dut.o``.

    ``setup`` is awaited first, with the simulator's context. Raises ``AssertionError`` if the
    output breaks the stream rules, more beats come or fewer beats are taken than there should be,
    and ``TimeoutError`` after ``max_cycles``.
    """
    source = Source(dut.i, beats, p_stall=stalls.i, seed=seed)
    sink = Sink(dut.o, p_stall=stalls.o, shy=stalls.shy, seed=seed)

    async def bench(ctx):
        if setup is not None:
            await setup(ctx)
        settle = 20  # cycles in which no further beat may come
        for cycle in range(max_cycles):
            for end in (source, sink):
                end.before(ctx)
            _, _, ready, *rest = await ctx.tick().sample(*source.signals, *sink.signals)
            source.after(cycle, [ready])
            sink.after(cycle, rest)
            assert len(sink.beats) <= count, f"a beat too many in cycle {cycle}"
            if len(sink.beats) == count:
                settle -= 1
                if not settle:
                    return
        raise TimeoutError(f"{len(sink.beats)} of {count} beats after {max_cycles} cycles")

    simulate(dut, bench)
    assert len(source.sent) == len(beats), f"{len(source.sent)} of {len(beats)} beats were taken"
    return Flow(sink.beats, source.sent, sink.arrived)


def trace(
    dut: Any, inputs: Iterable[Mapping[str, Any]], outputs: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Return ``outputs`` at the end of every cycle in which ``inputs`` are applied.

    Each cycle sets the members it names; all others are 0. A register that takes an input of cycle
    ``c`` shows it in row ``c + 1`` of the result.
    """
    rows: list[tuple[Any, ...]] = []
    watched = [getattr(dut, name) for name in outputs]

    async def bench(ctx):
        set_before: set[str] = set()
        for values in inputs:
            for name in set_before - values.keys():
                _clear(ctx, getattr(dut, name))
            for name, value in values.items():
                _set(ctx, getattr(dut, name), value)
            set_before = set(values)
            _, _, *sampled = await ctx.tick().sample(*watched)
            rows.append(tuple(sampled))

    simulate(dut, bench)
    return rows


def _set(ctx: Any, member: Any, value: Any) -> None:
    if isinstance(member, list):  # a member with dimensions
        for one, its in zip(member, value, strict=True):
            _set(ctx, one, its)
    else:
        ctx.set(member, value)


def _clear(ctx: Any, member: Any) -> None:
    for one in member if isinstance(member, list) else [member]:
        ctx.set(Value.cast(one), 0)
