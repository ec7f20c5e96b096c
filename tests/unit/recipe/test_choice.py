import pytest

from summand.recipe.choice import Choice, choices_of
from summand.recipe.options import Options
from summand.summands.dense import DenseChoice
from summand.summands.lowrank import LowRankChoice


def test_the_head_has_a_width_of_its_own_and_no_rank():
    given = choices_of(Options(bits=3, head_bits=6, rank=8), ("a", "head"), heads=("head",))
    assert given["a"].summands == (
        DenseChoice(bits=3),
        LowRankChoice(rank=8, bits=4, acc_shift=4),
    )
    assert given["head"].summands == (DenseChoice(bits=6),)


@pytest.mark.parametrize(
    ("options", "shift"), [({}, 4), ({"acc_shift": 2}, 2), ({"group": 16}, 0), ({"bits": 0}, 0)]
)
def test_the_shift_is_for_ranks_beside_one_scale_an_output(options, shift):
    choice = Choice.of(Options(**{"rank": 8} | options), head=False)
    assert choice.entries[-1].acc_shift == shift


def test_scales_have_no_width_without_groups():
    (choice,) = Choice.of(Options(scale_bits=3), head=False).summands
    assert choice == DenseChoice(bits=4, group=0, scale_bits=0)
    (choice,) = Choice.of(Options(scale_bits=3, group=16), head=False).summands
    assert choice == DenseChoice(bits=4, group=16, scale_bits=3)


def test_a_label_names_all_summands():
    choice = Choice.of(Options(group=32, rank=8, rank_bits=6), head=False)
    assert choice.label == "dense 4 bits, groups of 32 with 6-bit scales + rank 8, 6 bits"
