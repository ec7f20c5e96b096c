"""Slices in which a term's weights are all 0: which are left out, and when that pays."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.cycles import Timeline
from summand.isa import EngineConfig
from summand.isa.commands import Fence
from summand.schedule.choice import Plan, alone, steady
from summand.schedule.fit import DEFAULT_CONFIG
from summand.schedule.plan import plan
from summand.schedule.steps import Input, Walk
from summand.schedule.terms import Direct, Factored, Sizes
from summand.schedule.tiling import Tiling
from summand.schedule.traffic import group_traffic, layer_traffic

ENGINE = replace(
    DEFAULT_CONFIG, rows=2, depth=16, stream_bits=64, scale_bits=4, sparse_block=8, border_shift=1
)
SPARSE = Direct(planes=4, kept=2, block=4)
OUTLIERS = Direct(planes=8, kept=1, block=8)


def walked(steps: Plan) -> list[tuple[int, int, list[int]]]:
    """Return each walk's slices, and the terms of its strips."""
    walks = [step for step in steps if isinstance(step, Walk)]
    return [(w.first, w.first + w.slices, [s.matrix.term for s in w.strips]) for w in walks]


def all_left_out(*layers: Sizes, config: EngineConfig = ENGINE) -> Plan:
    tiling = Tiling.of(layers, config)
    return plan(layers, tiling, tiling.passes((tiling.total,)), config)


def cycles(steps: Plan, rows: int, config: EngineConfig) -> int:
    timeline = Timeline(config)
    for step in steps:
        timeline.run(step.command(rows))
    timeline.run(Fence())
    return timeline.cycle


def test_whole_slices_are_absent():
    term = replace(SPARSE, empty=((8, 40), (56, 64), (80, 104)))
    outliers = replace(OUTLIERS, empty=((0, 48),))
    sizes = Sizes(100, 8, (SPARSE, outliers))
    assert replace(sizes, terms=(outliers, term)).absent(1, 16) == ((1, 2), (5, 7))
    assert sizes.absent(0, 16) == ()
    assert sizes.absent(1, 16) == ((0, 3),)
    assert sizes.absent(1, 16, 2) == ((0, 2),)
    assert sizes.absent(1, 64) == ()


def test_a_slice_that_does_more_than_add_is_walked():
    """The first term clears and shifts at borders; another may shift."""
    empty = replace(SPARSE, empty=((0, 100),))
    sizes = Sizes(100, 8, (empty, empty), ((32, 1), (96, 1)))
    assert sizes.absent(0, 16) == ((1, 2), (3, 6))
    assert sizes.absent(1, 16) == ((0, 7),)
    shifted = replace(sizes, borders=(), terms=(empty, replace(empty, shift=4)))
    assert shifted.absent(1, 16) == ((1, 7),)


def test_walks_are_cut_where_layers_begin_and_end():
    one, other = (
        Sizes(160, 40, (replace(SPARSE, empty=runs),)) for runs in (((32, 96),), ((64, 128),))
    )
    low = Sizes(160, 4, (Factored(rank=4, first=4, second=4),))
    found = walked(all_left_out(one, other))
    assert [(a, b, len(terms)) for a, b, terms in found] == [
        (0, 2, 2),
        (2, 4, 1),
        (6, 8, 1),
        (8, 10, 2),
    ]
    with_factors = walked(all_left_out(one, low))
    assert [(a, b, len(terms)) for a, b, terms in with_factors[:3]] == [
        (0, 2, 2),
        (2, 6, 1),
        (6, 10, 2),
    ]


def test_outliers_of_few_inputs_are_walked_there():
    layer = Sizes(160, 40, (Direct(planes=4), replace(OUTLIERS, empty=((0, 64), (80, 160)))))
    assert walked(all_left_out(layer)) == [(0, 10, [0]), (4, 5, [1])]


def test_groups_stay_whole():
    """A walk that began within a group would send its scales again."""
    grouped = replace(SPARSE, group=32, scale_bits=4, empty=((16, 112),))
    layer = Sizes(160, 40, (grouped,))
    steps = all_left_out(layer)
    assert walked(steps) == [(0, 2, [0]), (6, 10, [0])]
    assert [step.group for step in steps if isinstance(step, Walk)] == [2, 2]


def test_chunks_that_no_walk_needs_are_not_loaded():
    tight = replace(ENGINE, act_depth=4)
    layer = Sizes(256, 40, (replace(SPARSE, empty=((64, 192),)),))
    steps = all_left_out(layer, config=tight)
    assert [step.first for step in steps if isinstance(step, Input)] == [0, 12]


@pytest.mark.parametrize(("outputs", "cut"), [(4, False), (40, True)])
def test_a_run_is_left_out_where_its_beats_are_more_than_a_command(outputs, cut):
    """Another layer shares the walk, and needs all slices."""
    wide = Sizes(512, 100, (Direct(planes=4),))
    layer = Sizes(512, outputs, (replace(SPARSE, empty=((48, 64), (480, 496))),))
    strips = {len(terms) for _, _, terms in walked(alone((wide, layer), ENGINE, 1))[:-1]}
    assert (strips == {1, 2}) == cut


def test_half_of_the_neurons_are_half_of_the_cycles():
    config = replace(DEFAULT_CONFIG, sparse_block=4)
    whole = Sizes(1536, 576, (SPARSE,))
    half = Sizes(1536, 576, (replace(SPARSE, empty=((768, 1536),)),))
    for rows in (1, 3):
        engine = replace(config, rows=rows)
        before, after = (cycles(alone((s,), engine, rows), rows, engine) for s in (whole, half))
        assert after < 0.52 * before
    assert 2 * group_traffic([half], config).planes == group_traffic([whole], config).planes
    before, after = (steady((s,), config)[0] for s in (whole, half))
    assert cycles(after, 1, config) < 0.52 * cycles(before, 1, config)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Sizes, ...]:
    k = draw(st.integers(1, 20)) * 16
    borders = ((16, 1),) if k > 16 and draw(st.booleans()) else ()
    found = []
    for _ in range(draw(st.integers(1, 2))):
        terms = []
        for term in (SPARSE, OUTLIERS)[: draw(st.integers(1, 2))]:
            places = sorted(draw(st.sets(st.integers(0, k // 8), max_size=6)))
            empty = tuple((8 * a, 8 * b) for a, b in zip(places[::2], places[1::2], strict=False))
            terms.append(replace(term, empty=empty))
        terms += [Factored(rank=5, first=4, second=4)] * draw(st.integers(0, 1))
        found.append(Sizes(k, draw(st.integers(1, 200)), tuple(terms), borders))
    return tuple(found)


@settings(derandomize=True, max_examples=15, deadline=None)
@given(layers(), st.integers(1, 2))
def test_what_is_left_out_saves_its_beats_and_never_costs_cycles(layers, rows):
    bare = tuple(layer.with_runs(1 << 31) for layer in layers)
    before, after = (alone(each, ENGINE, rows) for each in (bare, layers))
    assert cycles(after, rows, ENGINE) <= cycles(before, rows, ENGINE)
    tiling = Tiling.of(layers, ENGINE)
    if len(tiling.rounds) == 1 and tiling.resident and tiling.total <= tiling.capacity:
        least = sum(layer_traffic(layer, ENGINE).planes for layer in layers)
        steps = all_left_out(*layers)
        beats = sum(
            w.slices * s.segment.beats(ENGINE)
            for w in steps
            if isinstance(w, Walk)
            for s in w.strips
            if s.matrix.role == "direct"
        )
        assert beats * ENGINE.stream_bits == least
        assert least <= group_traffic(layers, ENGINE).planes <= group_traffic(bare, ENGINE).planes


def test_bits_without_an_engine():
    grouped = replace(SPARSE, group=32, scale_bits=4, empty=((16, 112),))
    layer = Sizes(160, 40, (grouped, replace(OUTLIERS, empty=((0, 144),))))
    found = layer_traffic(layer)
    assert found.planes == 64 * 40 * 12 // 4 + 16 * 40 * 11 // 8
    assert found.scales == 3 * 40 * 4
