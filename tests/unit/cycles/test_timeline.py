"""The law's own consistency; ``tests/cosim`` compares it with the gateware."""

from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.cycles import Stalls, Timeline, Timing, count, read_commands
from summand.isa import EngineConfig
from summand.isa.commands import Fence, Gemm, Load, Requantise, Store
from summand.isa.segments import Segment
from summand.stimulus.programs import random_program

CONFIGS = [
    EngineConfig(rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, shift=4),
    EngineConfig(rows=3, cols=8, depth=32, stream_bits=64, acc_depth=32, act_depth=4),
    EngineConfig(rows=1, cols=2, depth=64, stream_bits=128, acc_depth=32, act_depth=8),
    EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, operand_depth=256
    ),
    EngineConfig(cols=4, depth=16, stream_bits=32, acc_depth=32, act_depth=16, sparse_block=4),
    EngineConfig(
        cols=2, depth=32, stream_bits=64, acc_depth=32, act_depth=16, scale_bits=4, sparse_block=16
    ),
    EngineConfig(
        rows=2,
        cols=2,
        depth=16,
        stream_bits=32,
        acc_depth=16,
        act_depth=4,
        scale_bits=2,
        digit_bits=4,
    ),
    EngineConfig(rows=2, cols=4, depth=32, stream_bits=32, acc_depth=16, digit_bits=2),
]


def programs():
    def commands(seed: int, config: EngineConfig):
        program = random_program(np.random.default_rng(seed), config, commands=12)
        return list(read_commands(program.chunks, config)), config

    return st.builds(commands, st.integers(0, 2**32), st.sampled_from(CONFIGS))


def all_true(cycles: int) -> np.ndarray:
    return np.ones(cycles, bool)


@settings(max_examples=60, deadline=None)
@given(programs())
def test_beat_by_beat_equals_slice_by_slice(made):
    commands, config = made
    stalls = Stalls(offered=all_true(0), ready=all_true(0))
    assert count(commands, config, stalls=stalls) == count(commands, config)


def random_stalls(seed: int, p: float) -> Stalls:
    rng = np.random.default_rng(seed)
    return Stalls(offered=rng.random(8000) > p, ready=rng.random(8000) > p)


SEEDS, PAUSES = st.integers(0, 2**32), st.sampled_from([0.1, 0.5, 0.9])


@settings(max_examples=60, deadline=None)
@given(programs(), SEEDS, PAUSES)
def test_parts_add_up_whatever_stalls(made, seed, p):
    commands, config = made
    free = count(commands, config)
    stalled = count(commands, config, stalls=random_stalls(seed, p))
    for a, b in zip(free, stalled, strict=True):
        for counters in (a, b):
            cycles, *parts = astuple(counters)
            assert sum(parts) == cycles
        assert (a.work, a.load) == (b.work, b.load)


@settings(max_examples=60, deadline=None)
@given(programs(), SEEDS, PAUSES)
def test_stalls_cost_where_nothing_overlaps(made, seed, p):
    """With a fence after each drain, no walk competes with a drain for the accumulators."""
    commands, config = made
    alone: list = []
    for command in commands:
        alone += [command, Fence()] if isinstance(command, Requantise | Store) else [command]
    free = count(alone, config)
    stalled = count(alone, config, stalls=random_stalls(seed, p))
    assert all(b.cycles >= a.cycles for a, b in zip(free, stalled, strict=True))


def test_a_stall_can_save_cycles():
    """A walk has precedence over a drain, so a stall of the walk lets the drain end earlier.

    Here a second GEMM walks while a drain writes what the third one multiplies.
    """
    config = CONFIGS[0]
    random = random_program(np.random.default_rng(2732), config, commands=12)
    commands = list(read_commands(random.chunks, config))
    free = count(commands, config)[0]
    stalled = count(commands, config, stalls=random_stalls(0, 0.1))[0]
    assert stalled.stream > free.stream
    assert stalled.drain < free.drain
    assert stalled.cycles < free.cycles


@settings(max_examples=30, deadline=None)
@given(programs())
def test_a_faster_engine_is_never_slower(made):
    commands, config = made
    timing = Timing.of(config)
    faster = Timeline(config, timing=replace(timing, credit=1, word_hold=0, requantise=4))
    slower = Timeline(config, timing=timing)
    for command in commands:
        faster.run(command)
        slower.run(command)
        assert faster.finish() <= slower.finish()


def test_worked_example():
    """The example of docs/cycles.md."""
    config = EngineConfig()
    segments = (Segment(tile=0, tiles=144, planes=4, clear=True),)
    commands = [Load(0, 9, 1), Gemm(0, 9, segments), Store(0, 144, 1), Fence()]
    (counters,) = count(commands, config)
    assert counters.work == 9 * 144 * 4
    assert counters.load == 9 * 2
    assert counters.table == 9 * 15 - 3
    assert counters.stream == 1
    assert (counters.header, counters.drain) == (34, 154)
    assert counters.cycles == counters.work + counters.load + counters.table + counters.stream + (
        counters.header + counters.drain
    )


def test_slices_cost_alike():
    config = EngineConfig()
    spent = []
    for slices in (1, 2, 3, 64):
        timeline = Timeline(config)
        timeline.run(Gemm(0, slices, (Segment(tile=0, tiles=10, planes=3),)))
        spent.append(timeline.cycle)
    assert spent[1] - spent[0] == spent[2] - spent[1] == 30 + 15
    assert spent[3] - spent[0] == 63 * 45


@pytest.mark.parametrize("overlap", [True, False])
def test_a_walk_over_intermediates_waits_for_them(overlap):
    config = EngineConfig()
    timeline = Timeline(config)
    timeline.run(Requantise(0, 16, 1, to_slice=4))
    before = timeline.spent
    timeline.run(Gemm(4 if overlap else 5, 1, (Segment(tile=20, tiles=10, planes=3),)))
    assert (timeline.spent.since(before).drain > 60) == overlap


def test_draining_hides_behind_a_walk_over_other_tiles():
    config = EngineConfig()
    gemm = Gemm(0, 4, (Segment(tile=0, tiles=100, planes=4),))
    spent = {}
    for tile in (0, 200):
        timeline = Timeline(config)
        timeline.run(Store(tile, 100, 1))
        timeline.run(gemm)
        spent[tile] = timeline.spent
    assert spent[0].drain > 80
    assert spent[200].drain == 0
    assert spent[0].work == spent[200].work


def test_starving_drain_ends_with_the_walk():
    """One-plane weights leave no free slot; tiles are read in the gaps between slices."""
    config = EngineConfig()
    timeline = Timeline(config)
    timeline.run(Store(0, 200, 1))
    timeline.run(Gemm(0, 2, (Segment(tile=200, tiles=800, planes=1),)))
    assert timeline.finish() > timeline.cycle + 40


@pytest.mark.parametrize(
    ("block", "kept", "cycles"),
    [(8, 2, 2880), (8, 4, 3921), (8, 6, 4893), (8, 0, 5217), (0, 0, 5463)],
)
def test_sparse_layers_take_what_the_documentation_says(block, kept, cycles):
    """The second example of docs/cycles.md, up to the FENCE's report."""
    config = EngineConfig(
        rows=4, cols=8, depth=64, stream_bits=256, act_depth=64, table_share=2, sparse_block=block
    )
    segment = Segment(tile=0, tiles=72, planes=4, clear=True, kept=kept)
    before, after = count([Load(0, 9, 4), Fence(), Gemm(0, 9, (segment,)), Fence()], config)
    assert after.cycles - before.cycles == cycles
    text = (Path(__file__).parents[3] / "docs/cycles.md").read_text()
    assert f"| {segment.beats(config) * 9} | {segment.words * 9} |" in text
    assert str(cycles) in text
