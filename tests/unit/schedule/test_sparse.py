"""N:M terms: the engines that they need, and the segments that they become."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from summand.isa.commands import Gemm
from summand.schedule.choice import alone
from summand.schedule.errors import CompileError
from summand.schedule.fit import DEFAULT_CONFIG, Needs, fitting_engine, misfits
from summand.schedule.steps import Walk
from summand.schedule.terms import Direct, Factored, Sizes
from summand.schedule.traffic import group_traffic, layer_traffic

SPARSE = replace(DEFAULT_CONFIG, sparse_block=8)
PATTERNS = [(0, 0), (1, 4), (2, 4), (3, 4), (5, 8)]


def sizes(*patterns: tuple[int, int], n: int = 40, rank: int = 0) -> Sizes:
    direct = tuple(Direct(planes=2, kept=kept, block=block) for kept, block in patterns)
    low_rank = (Factored(rank=rank, first=8, second=8, shift=4),) if rank else ()
    return Sizes(130, n, (*direct, *low_rank))


def needs(*patterns: tuple[int, int], group: int = 0) -> Needs:
    found = sizes(*patterns)
    if group:
        direct = (replace(t, group=group, scale_bits=4) for _, t in found.direct)
        found = replace(found, terms=tuple(direct))
    return Needs(sizes=found, act_bits=8, acc_bits=24)


@pytest.mark.parametrize("block", [0, 4])
def test_an_engine_whose_blocks_are_no_multiple_is_named(block):
    (said,) = misfits(needs((0, 0), (5, 8)), replace(DEFAULT_CONFIG, sparse_block=block))
    assert f"of every 8 weights 5 are kept, but the engine's sparse_block is {block}; use " in said


@pytest.mark.parametrize("block", [8, 16])
def test_longer_blocks_will_do(block):
    assert list(misfits(needs((5, 8), (2, 4)), replace(DEFAULT_CONFIG, sparse_block=block))) == []


def test_an_engine_is_fitted_with_the_longest_blocks():
    assert fitting_engine([needs((0, 0))]).sparse_block == 0
    assert fitting_engine([needs((1, 4)), needs((0, 0), (3, 8))]).sparse_block == 8
    assert fitting_engine([needs((1, 4))], SPARSE).sparse_block == 8
    slow = replace(DEFAULT_CONFIG, stream_bits=32)
    assert fitting_engine([needs((1, 4))], slow).sparse_block == slow.plane_beats == 8


def test_groups_shorter_than_a_block_are_named():
    with pytest.raises(CompileError, match="blocks of 16 weights fit no engine with groups of 8 "):
        fitting_engine([needs((3, 16), group=8)])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(PATTERNS), st.integers(1, 60), st.sampled_from([0, 5])),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 3),
    st.sampled_from([8, 16]),
)
@example([((0, 0), 1, 0), ((0, 0), 37, 5), ((3, 4), 25, 0), ((2, 4), 29, 0)], 2, 8)
def test_each_term_is_a_segment_of_its_pattern_in_the_engines_blocks(layers, rows, block):
    group = tuple(sizes(pattern, n=n, rank=rank) for pattern, n, rank in layers)
    config = replace(DEFAULT_CONFIG, rows=3, sparse_block=block)
    words: dict[int, int] = {}
    beats = 0
    for step in alone(group, config, 1 if rows == 1 else config.rows):  # as of a full batch
        command = step.command(rows)
        if isinstance(command, Gemm):
            beats += command.payload_beats(config)
            for s in command.segments:
                words[s.kept] = words.get(s.kept, 0) + s.words * command.slices
    for pattern in PATTERNS[1:]:
        kept, of = pattern
        tiles = sum(-(-n // config.cols) for p, n, _ in layers if p == pattern)
        same = sum(
            -(-n // config.cols)
            for (k, b), n, _ in layers
            if b and k * block // b == kept * block // of
        )
        assert tiles <= same
        assert words.get(kept * block // of, 0) == same * 2 * 3  # planes, slices
    traffic = group_traffic(group, config, rows=rows)
    assert traffic.integers == beats * config.stream_bits


@pytest.mark.parametrize(("pattern", "bits"), [((2, 4), 4 + 2 * 2), ((1, 4), 2 + 2 * 1)])
def test_a_layer_costs_its_index_and_the_kept_weights(pattern, bits):
    layer = sizes(pattern)
    assert layer_traffic(replace(layer, in_features=128)).planes == 128 * 40 * bits // 4
    wide = layer_traffic(layer, SPARSE).planes
    assert wide == group_traffic([layer], SPARSE).planes


def test_sparse_neighbours_are_segments_of_their_own():
    """Each is filled up to whole beats."""
    group = [sizes((2, 4), n=n) for n in (4, 20)]
    (walk,) = [step for step in alone(tuple(group), SPARSE, 1) if isinstance(step, Walk)]
    assert [(s.tiles, s.kept) for s in walk.segments] == [(1, 4), (5, 4)]
