import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.decoding import Payoff, Speculation
from summand.draft import Draft

FLAT = [1 + 0.006 * row for row in range(8)]


def settled(costs, accepted, passes=200):
    """Return a payoff after passes that all accept the same places of what was proposed."""
    payoff = Payoff(costs)
    for _ in range(passes):
        proposed = payoff.choose()
        payoff.learn(proposed, [place for place in accepted if place < proposed])
    return payoff


def test_rows_that_cost_little_are_all_used_to_begin_with():
    assert Payoff(FLAT).choose() == 7


def test_rows_that_cost_a_pass_each_are_never_used():
    payoff = settled([1.0, 2.0, 3.0, 4.0], [0, 1, 2])
    assert payoff.choose() == 0


def test_it_steps_back_when_nothing_is_accepted_and_tries_again():
    payoff = Payoff(FLAT)
    chosen = []
    for _ in range(400):
        chosen.append(payoff.choose())
        payoff.learn(chosen[-1], [])
    assert chosen[0] == 7
    first = chosen.index(0)
    assert first < 60
    later = chosen[first:]
    assert later.count(0) > 0.9 * len(later)
    assert 7 in later


def test_places_that_are_accepted_stay():
    payoff = settled(FLAT, [0, 1, 2])
    assert payoff.choose() >= 3


def test_it_stops_where_a_place_costs_more_than_it_brings():
    # The fourth row doubles the pass; two proposals are right.
    assert settled([1.0, 1.01, 1.02, 4.0], [0, 1]).choose() == 2


@given(
    st.lists(st.floats(0.5, 4.0), min_size=1, max_size=9),
    st.lists(st.tuples(st.integers(0, 9), st.sets(st.integers(0, 8)))),
)
def test_it_never_wants_more_rows_than_there_are(costs, passes):
    payoff = Payoff(costs)
    for proposed, accepted in passes:
        payoff.learn(min(proposed, len(costs) - 1), accepted)
        assert 0 <= payoff.choose() < len(costs)


@pytest.mark.parametrize("costs", [[], [0.0], [1.0, -1.0]])
def test_costs_are_positive(costs):
    with pytest.raises(ValueError, match="costs must be positive"):
        Payoff(costs)


def test_nothing_is_asked_of_the_drafter_where_nothing_pays():
    class Silent:
        def begin(self, prompt):
            pass

        def propose(self, most):
            pytest.fail("nothing pays")

        def learn(self, written, seen):
            pass

    speculation = Speculation(Silent(), Payoff([1.0, 2.0]))
    assert speculation.propose() == Draft()
