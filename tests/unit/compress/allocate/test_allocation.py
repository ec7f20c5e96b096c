import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.compress import CompressError
from summand.compress.allocate.allocation import Candidate, allocate, allocate_loss, undominated

CANDIDATE = st.builds(
    Candidate, st.none(), st.integers(0, 10**8), st.floats(0, 1e3, allow_subnormal=False)
)
LAYERS = st.lists(st.lists(CANDIDATE, min_size=1, max_size=5), min_size=1, max_size=5)


def named(layers):
    return {f"layer{i}": each for i, each in enumerate(layers)}


def total(chosen, what):
    return sum(getattr(c, what) for c in chosen)


def least(what, combinations, limited, budget):
    """Return the least total within a budget that is reduced by the solver's tolerance."""
    within = [c for c in combinations if total(c, limited) <= budget * (1 - 1e-5)]
    return min((total(c, what) for c in within), default=math.inf)


@settings(deadline=None, max_examples=150)
@given(LAYERS, st.floats(0, 1))
def test_no_allocation_loses_less(layers, share):
    combinations = list(itertools.product(*layers))
    sizes = [total(c, "bits") for c in combinations]
    budget = int(min(sizes) + share * (max(sizes) - min(sizes)))
    chosen = allocate(named(layers), budget)
    assert [c in layer for c, layer in zip(chosen.values(), layers, strict=True)] == [True] * len(
        layers
    )
    assert total(chosen.values(), "bits") <= budget
    best = least("loss", combinations, "bits", budget)
    largest = max(c.loss for layer in layers for c in layer)
    assert total(chosen.values(), "loss") <= 1.001 * best + 1e-5 * largest


@settings(deadline=None, max_examples=150)
@given(LAYERS, st.floats(0, 1))
def test_no_allocation_takes_fewer_bits(layers, share):
    combinations = list(itertools.product(*layers))
    losses = [total(c, "loss") for c in combinations]
    budget = min(losses) + share * (max(losses) - min(losses))
    chosen = allocate_loss(named(layers), budget)
    assert total(chosen.values(), "loss") <= budget
    best = least("bits", combinations, "loss", budget)
    largest = max(c.bits for layer in layers for c in layer)
    assert total(chosen.values(), "bits") <= 1.001 * best + 1e-5 * largest


def test_a_budget_that_only_the_best_meet_gets_them():
    """A total that exceeds it by less than the solver's tolerance does not count as within it."""
    near = [Candidate("near", 0, 6e-5), Candidate("tiny", 1, 1e-300), Candidate("best", 2, 0.0)]
    chosen = allocate_loss({"layer0": near, "layer1": [Candidate("only", 0, 123.0)]}, 123.0)
    assert chosen["layer0"].choice == "best"


def layers(count=200):
    """Each bit quarters the loss; layers differ in size and in what they cost."""
    return {
        f"layer{i}": [
            Candidate(bits, (1000 + 37 * i) * bits, 1.3 ** (i % 30) * 4.0**-bits)
            for bits in range(2, 9)
        ]
        for i in range(count)
    }


def test_many_layers_are_quick():
    everything = layers()
    budget = 4 * sum(each[0].bits // 2 for each in everything.values())
    chosen = allocate(everything, budget)
    assert 0.999 * budget < total(chosen.values(), "bits") <= budget
    uniform = sum(each[2].loss for each in everything.values())
    assert total(chosen.values(), "loss") < 0.8 * uniform


def test_layers_that_cost_more_get_more():
    everything = {
        "dull": [Candidate(b, 100 * b, 1e-3 * 4.0**-b) for b in range(1, 9)],
        "loud": [Candidate(b, 100 * b, 1e3 * 4.0**-b) for b in range(1, 9)],
    }
    chosen = allocate(everything, 900)
    assert (chosen["dull"].choice, chosen["loud"].choice) == (1, 8)


def test_a_budget_below_everything_is_refused_with_the_least():
    everything = layers(3)
    least = 2 * sum(1000 + 37 * i for i in range(3))
    with pytest.raises(CompressError, match=f"{least - 1} streamed bits.*candidates take {least}"):
        allocate(everything, least - 1)
    assert {c.choice for c in allocate(everything, least).values()} == {2}


def test_a_loss_below_everything_is_refused_with_the_least():
    with pytest.raises(CompressError, match=r"a loss of 1e-09 cannot be met.*lose 6\.09e-05"):
        allocate_loss(layers(3), 1e-9)


def test_a_loss_that_is_not_a_number_is_refused():
    with pytest.raises(CompressError, match="nan cannot be met"):
        allocate_loss(layers(3), float("nan"))


def test_nothing_to_allocate():
    assert allocate({}, 10) == {}


def test_what_another_beats_in_both_is_left_out():
    a, b, c, d = (
        Candidate("a", 1, 9.0),
        Candidate("b", 2, 9.5),
        Candidate("c", 2, 5.0),
        Candidate("d", 3, 5.0),
    )
    assert undominated([d, c, b, a]) == [a, c]
