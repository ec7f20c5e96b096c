"""The choice within a bound of loss, beside one that tries everything."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.compress.decompose.choose import Candidate, choose

CANDIDATES = st.dictionaries(
    st.text("abc", min_size=1, max_size=1),
    st.lists(
        st.builds(
            Candidate, st.integers(1, 9), st.floats(0.1, 10), st.floats(0, 1, allow_subnormal=False)
        ),
        max_size=4,
    ),
)


@given(CANDIDATES, st.floats(0.01, 2))
def test_no_choice_of_a_like_loss_saves_more(candidates, loss):
    chosen = choose(candidates, loss)
    assert all(c in candidates[name] for name, c in chosen.items())
    spent = sum(c.loss for c in chosen.values())
    assert spent <= loss
    saved = sum(c.saved for c in chosen.values())
    every = product(*([None, *mine] for mine in candidates.values()))
    for other in every:
        picked = [c for c in other if c is not None]
        if sum(c.loss for c in picked) <= spent:
            assert sum(c.saved for c in picked) <= saved + 1e-9


def test_what_loses_nothing_is_taken():
    free = Candidate(4, 1.0, 0.0)
    assert choose({"a": [free], "b": [Candidate(4, 5.0, 1.0)]}, 0.5) == {"a": free}


def test_a_loss_of_next_to_nothing_does_not_stop_the_choice():
    least = Candidate(1, 3.0, 2.3e-308)
    assert choose({"a": [least, Candidate(2, 9.0, 1.0)]}, 0.5) == {"a": least}


@pytest.mark.parametrize("candidates", [{}, {"a": []}])
def test_nothing_is_chosen_of_nothing(candidates):
    assert choose(candidates, 1.0) == {}
