from dataclasses import replace

import pytest

from summand.compress import CompressError, Options
from summand.compress.allocate.candidates import Space, choice_bits
from summand.compress.job.budget import BitBudget
from summand.isa import EngineConfig
from summand.schedule.terms import Direct, Sizes
from summand.schedule.traffic import layer_traffic

from .conftest import allocation, dense, outliers, rank

ENGINE = EngineConfig(depth=32, cols=4, stream_bits=128, scale_bits=4)


def test_no_dense_summand_is_refused():
    with pytest.raises(CompressError, match="needs a dense summand"):
        allocation(BitBudget(bits=4.0), fixed=("bits", "rank"), options=Options(bits=0, rank=8))


def test_dense_alone_is_always_there():
    for engine in (None, ENGINE):
        choices = Space.of(Options(), (), engine).choices(576, 1536, head=False)
        assert {dense(c).bits for c in choices if not rank(c)} == {2, 3, 4, 5, 6, 7, 8}
        assert {rank(c) for c in choices} > {0}


def test_ranks_that_take_more_than_the_matrix_are_left_out():
    space = Space.of(Options(), ())
    assert {rank(c) for c in space.choices(40, 40, head=False)} == {0, 8, 16}


def test_an_engine_says_which_groups_and_ranks():
    choices = Space.of(Options(), (), ENGINE).choices(576, 1536, head=False)
    assert {dense(c).group for c in choices} == {32, 64, 128}
    assert {dense(c).scale_bits for c in choices} == {4}
    assert {rank(c) for c in choices} == {0, 32, 64}
    plain = EngineConfig(depth=32, cols=4, stream_bits=128)
    assert {dense(c).group for c in Space.of(Options(), (), plain).choices(64, 64, head=False)} == {
        0
    }


def test_an_engine_says_which_patterns():
    engine = replace(ENGINE, sparse_block=8)

    def patterns(options: Options, fixed: tuple[str, ...], k: int, *, head: bool) -> set[str]:
        choices = Space.of(options, fixed, engine).choices(k, 64, head=head)
        return {f"{dense(c).pattern} {outliers(c)}" for c in choices}

    some = {f"{p} {o}" for p in (None, "2:8", "4:8", "6:8") for o in (None, "1:8")}
    assert patterns(Options(), (), 64, head=False) == some
    assert patterns(Options(), (), 60, head=False) == {"None None"}
    assert patterns(Options(), (), 64, head=True) == {"None None"}
    halves = replace(engine, half_steps=True)
    both = {
        (dense(c).half_step, dense(c).pattern is None)
        for c in Space.of(Options(), (), halves).choices(64, 64, head=False)
    }
    assert both == {(True, True), (False, False)}
    held = Space.of(Options(half_step=True), ("half_step",), halves).choices(64, 64, head=False)
    assert {dense(c).pattern for c in held} == {None}
    fixed = Options(sparsity="2:4", outliers="none")
    assert patterns(fixed, ("sparsity", "outliers"), 64, head=False) == {"2:4 None"}


def test_an_engine_says_which_widths():
    engine = replace(ENGINE, act_bits=10, acc_bits=24, shift=3)
    space = Space.of(Options(), (), engine)
    (choice,) = {
        (c.act_bits, c.acc_bits, dense(c).scale_bits) for c in space.choices(576, 1536, head=False)
    }
    assert choice == (10, 24, 4)
    assert space.options.acc_shift == 3
    fixed = Space.of(Options(acc_bits=20, scale_bits=3), ("acc_bits", "scale_bits"), engine).options
    assert (fixed.act_bits, fixed.acc_bits, fixed.scale_bits) == (10, 20, 3)


@pytest.mark.parametrize(
    ("options", "changes", "match"),
    [
        ({"act_bits": 10}, {}, "act_bits must be the engine's, 8, not 10; leave act_bits out"),
        ({"acc_bits": 32}, {"acc_bits": 24}, "acc_bits must be at most the engine's, 24, not 32"),
        ({"acc_shift": 4}, {"shift": 3}, "acc_shift must be 0 or the engine's shift, 3, not 4"),
        ({"scale_bits": 6}, {}, "scale_bits must be at most the engine's, 4, not 6"),
        ({"group": 32}, {"scale_bits": 0}, "group must be 0 on an engine without scale_bits"),
        ({"sparsity": "2:4"}, {}, "sparsity must be none on an engine without sparse_block"),
        ({"outliers": "1:16"}, {"sparse_block": 8}, "sparse_block, 8, not 1:16; leave outliers"),
        ({"group": 48}, {}, "group must be a multiple of the engine's depth, 32, not 48"),
    ],
)
def test_what_an_engine_cannot_compute_is_refused(options, changes, match):
    with pytest.raises(CompressError, match=match):
        Space.of(Options(**options), tuple(options), replace(ENGINE, **changes))


def test_padding_counts_with_an_engine():
    choice = Space.of(Options(), ()).choices(70, 70, head=False)[0]
    assert choice_bits(choice, 70, 70) < choice_bits(choice, 70, 70, ENGINE)
    sizes = Sizes(70, 70, (Direct(planes=2, group=32, scale_bits=6),))
    assert choice_bits(choice, 70, 70) == layer_traffic(sizes).total
    assert choice_bits(choice, 70, 70, ENGINE) == layer_traffic(sizes, ENGINE).total
