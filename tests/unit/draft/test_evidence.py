import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.draft.evidence import Evidence, HitRates, Suggestion, likely

GOOD, BAD = Evidence((0.5, 0.2)), Evidence((0.3, 0.2))
tokens = st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True).map(tuple)
suggestions = st.lists(st.builds(Suggestion, st.sampled_from((GOOD, BAD)), tokens), max_size=3)


@given(st.lists(st.tuples(suggestions, st.integers(0, 9)), max_size=40), suggestions)
def test_estimates_are_probabilities_in_falling_order(history, last):
    rates = HitRates(weight=1, most=10)
    for earlier, token in history:
        rates.record(earlier, token)
    found = likely(last, rates)
    shares = [share for share, _ in found]
    assert shares == sorted(shares, reverse=True)
    assert all(share > 0 for share in shares)
    assert sum(shares) <= 1 + 1e-9
    assert len({token for _, token in found}) == len(found)


def test_a_token_has_the_rate_of_its_best_reason():
    found = likely([Suggestion(BAD, (3, 2)), Suggestion(GOOD, (1, 2))], HitRates())
    assert [token for _, token in found] == [1, 2, 3]
    assert found == [(0.5, 1), (0.2, 2), (pytest.approx(0.3 * 0.3), 3)]


def test_rates_follow_what_comes_true():
    rates = HitRates(weight=20, most=100)
    for _ in range(200):
        rates.record([Suggestion(GOOD, (1, 2)), Suggestion(BAD, (3, 2))], 3)
    assert rates[GOOD][0] < 0.45
    assert rates[BAD][0] > 0.7
    best = next(rates.ranked([Suggestion(GOOD, (1,)), Suggestion(BAD, (2,))]))
    assert best.evidence is BAD


@pytest.mark.parametrize("wrong", [(), (0.5, 0.5), (-0.1,)])
def test_rates_are_shares_of_less_than_all(wrong):
    with pytest.raises(ValueError, match="add up to less than 1"):
        Evidence(wrong)
