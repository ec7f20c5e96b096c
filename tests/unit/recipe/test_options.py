import dataclasses

import pytest

from summand.options.declaration import OptionError
from summand.recipe.choice import Choice
from summand.recipe.grouping import Grouping
from summand.recipe.options import Options


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bits", 0),
        ("bits", 9),
        ("rank", -1),
        ("rank_bits", 0),
        ("head_bits", 9),
        ("act_bits", 3),
        ("act_bits", 11),
        ("acc_shift", 9),
        ("acc_bits", 33),
        ("bits", 4.0),
        ("act_groups", 1),
        ("act_groups", 17),
        ("act_block", 20),
        ("border_shift", 0),
        ("border_shift", 8),
    ],
)
def test_impossible_options_are_named(field, value):
    with pytest.raises(OptionError, match=f"^{field} must be .* not {value}"):
        Options(**{field: value})


@pytest.mark.parametrize(
    ("field", "known"),
    [
        ("solver", "rtn or gptq"),
        ("rank_solver", "svd or whitened or iterative or iterative-plain"),
        ("rank_order", "after or before or alternating"),
    ],
)
def test_an_unknown_solver_is_named(field, known):
    with pytest.raises(OptionError, match=f"^{field} must be {known}, not 'magic'"):
        dataclasses.replace(Options(), **{field: "magic"})


def test_no_summand_at_all_is_refused():
    with pytest.raises(OptionError, match="^bits must be 1 to 8 without a rank, not 0"):
        Options(bits=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"distil": -1}, "distil must be 0 to 100000, not -1"),
        ({"distil": 1.5}, r"distil must be 0 to 100000, not 1\.5"),
        ({"distil": 1, "keep_quantised": True}, "leave out distil or keep_quantised"),
    ],
)
def test_distillation_that_cannot_be_is_refused(options, said):
    with pytest.raises(OptionError, match=said):
        Options(**options)


def test_channels_have_groups_where_they_are_not_rotated():
    with pytest.raises(OptionError, match="leaves no groups of them; give --no-rotate, or leave"):
        Options(act_groups=8)
    assert Options(act_groups=8, rotate=False).grouping == Grouping(
        groups=8, block=64, shift=7, act_bits=8
    )
    kept = Options(act_groups=8, keep_quantised=True)
    assert kept.grouping is not None
    assert Choice.of(kept, head=False).grouping is None  # those that are not kept are rotated
    assert Options().grouping is None


def test_as_many_borders_count_as_there_can_be():
    choice = Choice.of(Options(act_groups=4, rotate=False), head=False)
    assert choice.sizes(200, 8).borders == ((64, 1), (128, 1), (192, 1))
    assert choice.sizes(128, 8).borders == ((64, 1),)
    assert choice.sizes(64, 8).borders == ()


def test_layers_taken_as_they_are_cannot_make_up_for_others():
    with pytest.raises(OptionError, match="leave out sequential or keep_quantised"):
        Options(sequential=True, keep_quantised=True)


def test_a_group_that_no_engine_has_is_refused_with_the_next():
    with pytest.raises(OptionError, match="group must be a multiple of 8, .* not 20: 24 would do"):
        Options(group=20)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sparsity": "2:6"}, "sparsity cannot be '2:6': block must be 4, 8 or 16, not 6"),
        ({"outliers": "8:8"}, "outliers cannot be '8:8': kept must be 1 to 7"),
        ({"sparsity": 4}, "sparsity must be a text, not 4"),
        ({"sparsity_score": "luck"}, "sparsity_score must be magnitude or wanda or sparsegpt"),
        ({"outlier_bits": 9}, "outlier_bits must be 1 to 8, not 9"),
        ({"sparsity": "2:4", "bits": 0, "rank": 4}, "sparsity is of the dense summand, and bits"),
        ({"sparsity": "2:4", "half_step": True}, "no half-step weight is 0, as sparsity wants"),
        ({"outliers": "1:8", "bits": 0, "rank": 4}, "outliers are beside a dense summand, and"),
        ({"sparsity": "2:4", "solver": "rtn"}, "must be magnitude or wanda with solver rtn"),
    ],
)
def test_sparsity_that_cannot_be_is_refused(options, said):
    with pytest.raises(OptionError, match=said):
        Options(**options)
