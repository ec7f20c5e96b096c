"""Chooses the plan of fewest cycles, by the cost law."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from summand.cycles import Timeline
from summand.isa import EngineConfig
from summand.isa.commands import Fence
from summand.schedule.plan import plan
from summand.schedule.steps import Fetch, PlanStep
from summand.schedule.taper import Stair, Tail
from summand.schedule.terms import Sizes
from summand.schedule.tiling import Run, Tiling

__all__ = ["Plan", "alone", "final", "steady"]

#: Plans kept, of layers' sizes, an engine and a number of tokens each.
_CACHE = 4096

#: Stairs that the law is asked for at most, the most promising of all.
_CANDIDATES = 10

#: Slices that a stair may walk on its own, besides all.
_WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16)

#: About what one more GEMM and STORE cost besides look-up tables, and tables for one more slice.
#: Both only sort candidates before the law chooses.
_COMMANDS, _TABLES = 25, 15

#: A batch's steps.
Plan = tuple[PlanStep, ...]


def alone(layers: tuple[Sizes, ...], config: EngineConfig, rows: int) -> Plan:
    """Return the steps of a call's only batch."""
    return _alone(_sent(layers, config), config, rows)


@lru_cache(_CACHE)
def _alone(layers: tuple[Sizes, ...], config: EngineConfig, rows: int) -> Plan:
    tiling = Tiling.of(layers, config)
    sizes = (tiling.total,) if tiling.total <= tiling.capacity else tiling.even()
    return _best(layers, tiling, tiling.passes(sizes), config, rows)


def steady(layers: tuple[Sizes, ...], config: EngineConfig) -> tuple[Plan, Plan]:
    """Return the steps of a batch of ``config.rows`` tokens that others follow: even, and odd."""
    return _steady(_sent(layers, config), config)


@lru_cache(_CACHE)
def _steady(layers: tuple[Sizes, ...], config: EngineConfig) -> tuple[Plan, Plan]:
    tiling = Tiling.of(layers, config)
    sizes = tiling.even()

    def batches(walked: tuple[Sizes, ...], deferred: int) -> tuple[Plan, Plan]:
        even, odd = (
            plan(walked, tiling, tiling.passes(sizes, phase), config, deferred=deferred)
            for phase in (0, len(sizes) % 2)
        )
        return even, odd

    def cycles(pair: tuple[Plan, Plan]) -> int:
        return _cycles(pair, config.rows, config, fence=False)

    walked = _thinned(layers, config, lambda walked: cycles(batches(walked, 0)))
    return min((batches(walked, deferred) for deferred in _deferrals(tiling)), key=cycles)


def final(layers: tuple[Sizes, ...], config: EngineConfig, rows: int, *, odd: bool) -> Plan:
    """Return the steps of a batch that follows others, and is followed by none."""
    return _final(_sent(layers, config), config, rows, odd)


@lru_cache(_CACHE)
def _final(layers: tuple[Sizes, ...], config: EngineConfig, rows: int, odd: bool) -> Plan:
    tiling = Tiling.of(layers, config)
    sizes = tiling.even()
    passes = tiling.passes(sizes, odd * len(sizes) % 2)
    return _best(layers, tiling, passes, config, rows, before=_steady(layers, config)[not odd])


def _sent(layers: tuple[Sizes, ...], config: EngineConfig) -> tuple[Sizes, ...]:
    """Return layers as far as an engine's plans depend on them, so that like ones share plans."""
    return tuple(layer.sent(config) for layer in layers)


def _best(
    layers: tuple[Sizes, ...],
    tiling: Tiling,
    passes: Sequence[Sequence[Run]],
    config: EngineConfig,
    rows: int,
    before: Plan = (),
) -> Plan:
    """Return the quickest plan for passes that nothing follows, with or without stairs."""

    def cycles(walked: tuple[Sizes, ...]) -> int:
        return _cycles([plan(walked, tiling, passes, config)], rows, config, fence=True)

    walked = _thinned(layers, config, cycles)
    candidates = []
    for deferred in _deferrals(tiling):
        steps = plan(walked, tiling, passes, config, deferred=deferred)
        # Stairs change nothing about passes long before them.
        ends = [i + 1 for i, step in enumerate(steps) if isinstance(step, Fetch)]
        skip = ends[-3] if len(ends) > 2 else 0
        lead = [] if skip else [before]

        def end(taper: Plan, skip: int = skip, lead: Sequence[Plan] = lead) -> int:
            return _cycles([*lead, taper[skip:]], rows, config, fence=True)

        candidates.append(min(_tapers(steps, rows), key=end))
    if len(candidates) == 1:
        return candidates[0]
    return min(candidates, key=lambda steps: _cycles([before, steps], rows, config, fence=True))


def _cycles(batches: Sequence[Plan], rows: int, config: EngineConfig, *, fence: bool) -> int:
    """Return what batches take one after another."""
    timeline = Timeline(config)
    for steps in batches:
        for step in steps:
            timeline.run(step.command(rows))
    if fence:
        timeline.run(Fence())
    return timeline.cycle


def _deferrals(tiling: Tiling) -> tuple[int, ...]:
    """Return for how many slices direct terms may wait for the first factors."""
    slices = tiling.slices
    return tuple(sorted({0, 1, -(-slices // 3), slices})) if tiling.ranks else (0,)


def _thinned(
    layers: tuple[Sizes, ...], config: EngineConfig, cycles: Callable[[tuple[Sizes, ...]], int]
) -> tuple[Sizes, ...]:
    """Return layers with those empty runs that are worth a cut: all, the longer ones, or none.

    A run that is left out of a walk costs a command more. ``cycles`` is asked what layers take with
    runs of a slice at least, of twice the shortest of these, and so on.
    """
    found = [tuple(s.with_runs(config.depth) for s in layers)]
    while lengths := [b - a for s in found[-1] for _, t in s.direct for a, b in t.empty]:
        least = 2 * min(lengths)
        found.append(tuple(s.with_runs(least) for s in found[-1]))
    return min(found, key=cycles) if len(found) > 1 else found[0]


def _shares(weights: Sequence[float], total: int) -> tuple[int, ...]:
    """Divide ``total`` in proportion, in whole numbers that may be 0."""
    scale = total / sum(weights)
    ends = [round(scale * w) for w in itertools.accumulate(weights)]
    return tuple(b - a for a, b in itertools.pairwise([0, *ends]))


def _tapers(steps: Plan, rows: int) -> list[Plan]:
    """Return a batch's steps as they are, and with the most promising stairs at their end."""
    tail = Tail.of(steps)
    promising = sorted(_stairs(tail, rows), key=lambda guess: guess.cycles)[:_CANDIDATES]
    return [steps, *(tail.tapered(guess.stairs) for guess in promising)]


class _Guess(NamedTuple):
    """Stairs, and about what they cost."""

    cycles: float
    stairs: tuple[Stair, ...]


def _stairs(tail: Tail, rows: int) -> Iterator[_Guess]:
    """Yield stairs on which each fetch takes about as long as the walks of the next stair.

    Results leave in the cycles in which no word ends a tile, and while tables are filled; where
    they are sent in limbs, a tile takes as many cycles.
    """
    total, each = tail.fetch.tiles, max(1, tail.fetch.limbs)
    words = sum(w.slices * s.tiles * s.planes for w in tail.walks for s in w.strips)
    slots = sum(w.slices * s.tiles * (s.planes - 1) for w in tail.walks for s in w.strips)
    free = min(slots, words / each) / tail.slices / total / rows
    widths = {n for n in _WIDTHS if n < tail.slices} | {tail.slices}
    for count, width, halve, late in itertools.product(
        range(2, 6), widths, (False, True), (0.0, 1.0)
    ):
        slices = [max(1, width >> i * halve) for i in range(count)]
        slices[-1] = slices[-2]  # what remains goes to its end in one walk
        if halve and slices[0] == slices[-1]:
            continue
        # Sizes as a * z + b from the last on, which is z: what can be fetched meanwhile.
        a, b = [1.0], [0.0]
        for here, after in itertools.pairwise(reversed(slices)):
            joint = after - here
            wait = late * (_COMMANDS + _TABLES * after) / rows / each
            a.append((sum(a) * joint + a[-1] * here) * free)
            b.append((sum(b) * joint + b[-1] * here) * free + wait)
        z = (total - sum(b)) / sum(a)
        sizes = [p * z + q for p, q in zip(reversed(a), reversed(b), strict=True)]
        tiles = _shares(sizes, total) if z > 0 else ()
        if tiles and all(tiles):
            tables = sum(slices) - slices[-1]
            cost = z * rows * each + (count - 1) * _COMMANDS + tables * _TABLES
            yield _Guess(cost, tuple(map(Stair, tiles, slices)))
