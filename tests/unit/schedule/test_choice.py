"""The choice of plans, and the cycles that it saves."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.cycles import Timeline
from summand.isa import EngineConfig
from summand.isa.commands import Fence, Gemm, Load, Requantise
from summand.schedule.choice import Plan, alone, final, steady
from summand.schedule.fit import DEFAULT_CONFIG
from summand.schedule.plan import plan
from summand.schedule.steps import Fetch, Walk
from summand.schedule.taper import Stair, Tail
from summand.schedule.terms import Direct, Factored, Sizes
from summand.schedule.tiling import Tiling


def sizes(k: int, n: int, bits: int = 4, rank: int = 0) -> Sizes:
    dense = (Direct(planes=bits),) if bits else ()
    low_rank = (Factored(rank=rank, first=8, second=8, shift=4),) if rank else ()
    return Sizes(k, n, (*dense, *low_rank))


def block(rank: int = 0) -> list[tuple[Sizes, ...]]:
    """The groups of a block of SmolLM2."""
    shapes = [[(576, 576), (576, 192), (576, 192)], [(576, 576)], [(576, 1536)] * 2, [(1536, 576)]]
    return [tuple(sizes(k, n, rank=rank) for k, n in group) for group in shapes]


def share(plans: Sequence[Plan], config: EngineConfig, rows: int) -> tuple[int, int]:
    """Return beats sent and cycles of one call."""
    timeline = Timeline(config)
    timeline.run(Fence())
    start, beats = timeline.cycle, config.header_beats
    for command in [c for steps in plans for c in (step.command(rows) for step in steps)]:
        timeline.run(command)
        beats += config.header_beats
        match command:
            case Load():
                beats += rows * command.slices * config.slice_words
            case Gemm():
                beats += command.slices * command.words * config.plane_beats
                beats += -(-8 * len(command.segments) // config.beat_bytes)
            case Requantise():
                beats += -(-4 * command.tiles * config.cols // config.beat_bytes)
            case _:
                pass
    timeline.run(Fence())
    return beats, timeline.cycle - start


def total(calls: Sequence[tuple[Sequence[Plan], int]], config: EngineConfig, rows: int) -> float:
    """Return the share of cycles that took a beat, with each call made its number of times."""
    costs = [(*share(plans, config, rows), times) for plans, times in calls]
    return sum(b * t for b, _, t in costs) / sum(c * t for _, c, t in costs)


@pytest.mark.parametrize("rank", [0, 16])
def test_smollm2_decodes_at_98_percent_of_the_stream(rank):
    config = DEFAULT_CONFIG
    calls = [([alone(group, config, 1)], 30) for group in block(rank)]
    calls.append(([alone((sizes(576, 49152, 8),), config, 1)], 1))
    assert total(calls, config, 1) > 0.98


@pytest.mark.parametrize(("batches", "least"), [(1, 0.95), (8, 0.975)])
def test_prefill_at_95_percent_of_the_stream(batches, least):
    config = replace(DEFAULT_CONFIG, rows=8)
    calls = []
    for group in block():
        pair = steady(group, config)
        plans = [pair[i % 2] for i in range(batches - 1)]
        end = final(group, config, 8, odd=batches % 2 == 0) if plans else alone(group, config, 8)
        calls.append(([*plans, end], 1))
    assert total(calls, config, 8) > least


def words(steps: Sequence[object]) -> Counter[tuple[object, int, int]]:
    """Count how often each tile of each matrix is walked in each slice."""
    return Counter(
        (strip.matrix, strip.first + tile, step.first + n)
        for step in steps
        if isinstance(step, Walk)
        for strip in step.strips
        for tile in range(strip.tiles)
        for n in range(step.slices)
    )


@given(
    cuts=st.lists(st.integers(1, 179), unique=True, max_size=4).map(sorted),
    slices=st.lists(st.integers(1, 11), min_size=5, max_size=5).map(lambda s: sorted(s)[::-1]),
    deferred=st.integers(0, 9),
)
def test_tapers_walk_every_word_once_and_fetch_what_is_finished(cuts, slices, deferred):
    config = DEFAULT_CONFIG
    group = (sizes(576, 384, rank=20), sizes(576, 336, bits=3))
    tiling = Tiling.of(group, config)
    straight = plan(group, tiling, tiling.passes([180]), config)
    steps = plan(group, tiling, tiling.passes([180]), config, deferred=deferred)
    ends = [*cuts, 180]
    stairs = [Stair(b - a, n) for a, b, n in zip([0, *cuts], ends, slices, strict=False)]
    taper = Tail.of(steps).tapered(stairs)
    assert words(taper) == words(straight)
    fetched = [t for s in taper if isinstance(s, Fetch) for t in range(s.tile, s.tile + s.tiles)]
    assert fetched == list(range(180))
    done: set[int] = set()
    for step in taper:
        if isinstance(step, Walk):
            assert not done & {t for s in step.strips for t in range(s.tile, s.tile + s.tiles)}
        if isinstance(step, Fetch):
            done |= set(range(step.tile, step.tile + step.tiles))
