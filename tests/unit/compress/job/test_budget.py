import pytest
import torch

from summand.compress import CompressError, Options
from summand.compress.allocate.allocation import Candidate
from summand.compress.allocate.parts import Cut
from summand.compress.job.budget import Allocation, BitBudget, join_parts
from summand.recipe.choice import Choice


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ({}, "either of bits or of KL"),
        ({"bits": 4.0, "kl": 0.1}, "either of bits or of KL"),
        ({"bits": 0.0}, "target bits must be above 0"),
        ({"kl": float("nan")}, "target kl must be above 0, not nan"),
        ({"bits": 4.0, "sensitivity": "guess"}, "fisher or differences, not 'guess'"),
    ],
)
def test_impossible_targets_are_named(kind, match):
    with pytest.raises(CompressError, match=match):
        BitBudget(**kind)


def test_parts_that_got_the_same_are_joined():
    three, four = (Choice.of(Options(bits=b), head=False) for b in (3, 4))
    ranks = Choice.of(Options(bits=3, rank=4), head=False)
    got = {
        "a": [(three, 10, 1.0), (three, 20, 0.5), (four, 40, 0.25), (three, 5, 2.0)],
        "b": [(ranks, 1, 1.0), (ranks, 1, 1.0)],
        "c": [(four, 7, 1.0), (four, 8, 2.0)],
    }
    candidates = {
        f"{name}.{i}": Candidate(*each) for name, all_ in got.items() for i, each in enumerate(all_)
    }
    candidates["whole"] = Candidate(three, 9, 9.0)
    orders = {name: torch.arange(64 * len(each)).flip(0) for name, each in got.items()}
    cuts = {name: Cut((64,) * len(each), orders[name]) for name, each in got.items()}
    joined, cut = join_parts(Allocation(candidates, 1000), cuts)
    assert joined.candidates == {
        "whole": Candidate(three, 9, 9.0),
        "a.0": Candidate(three, 30, 1.5),
        "a.1": Candidate(four, 40, 0.25),
        "a.2": Candidate(three, 5, 2.0),
        "b.0": Candidate(ranks, 1, 1.0),
        "b.1": Candidate(ranks, 1, 1.0),
        "c.0": Candidate(four, 15, 3.0),
    }
    assert {name: each.sizes for name, each in cut.items()} == {
        "a": (128, 64, 64),
        "b": (64, 64),
        "c": (128,),
    }
    assert cut["a"].order is orders["a"]
    assert cut["c"].order is None  # nothing to put in order
    assert joined.weights == 1000
