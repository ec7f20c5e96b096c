"""Cycles that the native simulator counts, and the time that it takes."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from summand.bench.device import TimedDevice
from summand.cycles import Stalls, count, read_commands
from summand.isa import EngineConfig
from summand.rtl.engine import Engine
from summand.runtime import Driver, Program, Usage
from summand.runtime.verify import random_tokens
from summand.verilated import SimDevice

if TYPE_CHECKING:
    from summand.runtime.load import LoadedModel

__all__ = ["Run", "Stalled", "Written", "run_programs", "run_stalled", "write_tokens"]

#: Cycles from the order to write the reset register until the engine is in reset.
_UNTIL_RESET = 3

#: Called with the number of steps done and their total.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Every program run once.

    Parameters
    ----------
    usage : mapping of str to Usage
        By program.
    seconds : float
        On the wall.
    device_seconds : float
        Of these, in the simulator.
    """

    usage: Mapping[str, Usage]
    seconds: float
    device_seconds: float

    @property
    def total(self) -> Usage:
        """All programs together."""
        return sum(self.usage.values(), Usage())

    @property
    def cycles_per_second(self) -> float:
        """Clock cycles a second of the simulator."""
        return self.total.counters.cycles / self.device_seconds


@dataclass(frozen=True, kw_only=True)
class Stalled:
    """The same while the source, and the sink, withhold beats at random.

    Parameters
    ----------
    stall : float
        Probability of that in a cycle.
    run : Run
        What was counted.
    withheld : int
        Cycles in which the source withheld a beat.
    law_equal : bool
        Whether the cost law, given the recorded stalls, gives the same counters for every program.
    """

    stall: float
    run: Run
    withheld: int
    law_equal: bool


@dataclass(frozen=True, kw_only=True)
class Written:
    """Tokens that the whole model wrote, one after the other.

    Parameters
    ----------
    seconds : tuple of float
        Each token's, on the wall: attention, norms and sampling included.
    device_seconds : tuple of float
        Of these, in the simulator.
    """

    seconds: tuple[float, ...]
    device_seconds: tuple[float, ...]

    @property
    def host_share(self) -> float:
        """Share of the time spent outside the simulator."""
        return 1 - sum(self.device_seconds) / sum(self.seconds)


def run_programs(
    driver: Driver,
    device: TimedDevice,
    programs: Sequence[Program],
    *,
    tokens: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> Run:
    """Run every program once, for as many random tokens.

    ``driver`` drives ``device``.
    """
    rng = np.random.default_rng(seed)
    inputs = [random_tokens(rng, p.config, tokens, p.in_features) for p in programs]
    usage: dict[str, Usage] = {}
    start, busy = time.perf_counter(), device.seconds
    for done, (program, xq) in enumerate(zip(programs, inputs, strict=True), 1):
        usage[program.name] = driver.run(program, xq).usage
        if progress:
            progress(done, len(programs))
    seconds = time.perf_counter() - start
    return Run(usage=usage, seconds=seconds, device_seconds=device.seconds - busy)


def run_stalled(
    config: EngineConfig,
    programs: Sequence[Program],
    *,
    stall: float,
    seed: int = 0,
    progress: Progress | None = None,
) -> Stalled:
    """Run every program for one token on an engine whose streams stall.

    Besides the engine's counters this records the streams' handshakes, and compares the counters
    with those that the cost law gives for these handshakes.
    """
    simulator = SimDevice(config, stall=stall, seed=seed, record=True)
    device = TimedDevice(simulator, record=True)
    with Driver(device) as driver:
        driver.reset()
        start, before = simulator.cycles, simulator.withheld
        device.sent.clear()
        driver.reset()  # its FENCE is the first command that the law is given
        run = run_programs(driver, device, programs, tokens=1, seed=seed, progress=progress)
        withheld = simulator.withheld - before
        reset = _UNTIL_RESET + Engine.reset_cycles(config)
        stalls = Stalls.of_trace(simulator.trace[start:], reset)
    law = count(read_commands(device.sent, config), config, stalls=stalls)
    spent = [now.since(last) for last, now in zip(law, law[1:], strict=False)]
    equal = spent == [usage.counters for usage in run.usage.values()]
    return Stalled(stall=stall, run=run, withheld=withheld, law_equal=equal)


def write_tokens(
    loaded: "LoadedModel", device: TimedDevice, count: int, progress: Progress | None = None
) -> Written:
    """Write ``count`` tokens after a prompt of one token and one token that is not timed.

    The model's layers are computed by ``device``.
    """
    from summand.decoding import Writer

    seconds: list[float] = []
    busy: list[float] = []
    start, before = 0.0, 0.0
    writer = Writer(loaded.model, loaded.lanes, head=loaded.head)
    for done, _ in enumerate(writer.write([0], tokens=count + 1)):
        now, spent = time.perf_counter(), device.seconds
        if done:
            seconds.append(now - start)
            busy.append(spent - before)
        start, before = now, spent
        if progress:
            progress(done, count)
    return Written(seconds=tuple(seconds), device_seconds=tuple(busy))
