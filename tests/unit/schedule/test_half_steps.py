"""Half-step terms: the engines that they need, and the segments that they become."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa.commands import Gemm
from summand.schedule.choice import alone
from summand.schedule.fit import DEFAULT_CONFIG, Needs, fitting_engine, misfits
from summand.schedule.terms import Direct, Factored, Sizes

HALVING = replace(DEFAULT_CONFIG, half_steps=True)


def sizes(*halves: bool, n: int = 40, rank: int = 0) -> Sizes:
    direct = tuple(Direct(planes=2, half_step=half) for half in halves)
    low_rank = (Factored(rank=rank, first=8, second=8, shift=4),) if rank else ()
    return Sizes(130, n, (*direct, *low_rank))


def needs(*halves: bool) -> Needs:
    return Needs(sizes=sizes(*halves), act_bits=8, acc_bits=24)


def test_an_engine_without_half_steps_is_named():
    (said,) = misfits(needs(False, True), DEFAULT_CONFIG)
    assert "half-step, but the engine has no half_steps; use an engine with them" in said
    assert list(misfits(needs(False, True), HALVING)) == []
    assert list(misfits(needs(False, False), DEFAULT_CONFIG)) == []


@pytest.mark.parametrize("halves", [(False,), (True,), (False, True)])
def test_an_engine_is_fitted_with_half_steps_where_a_layer_needs_them(halves):
    assert fitting_engine([needs(False), needs(*halves)]).half_steps == any(halves)
    assert fitting_engine([needs(*halves)], HALVING).half_steps


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 60), st.sampled_from([0, 5])),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 3),
)
def test_just_the_half_step_terms_segments_are_marked(layers, rows):
    """Also where neighbours in a walk differ in nothing else."""
    group = tuple(sizes(half, n=n, rank=rank) for half, n, rank in layers)
    config = replace(HALVING, rows=3)
    marked = 0
    for step in alone(group, config, rows):
        command = step.command(rows)
        if isinstance(command, Gemm):
            marked += sum(s.words for s in command.segments if s.half_step) * command.slices
    tiles = sum(-(-n // config.cols) for half, n, _ in layers if half)
    assert marked == tiles * 2 * 3  # planes, slices
