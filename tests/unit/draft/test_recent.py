import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.draft.recent import Recent


@given(st.lists(st.tuples(st.integers(0, 9), st.integers())), st.integers(1, 8))
def test_the_keys_set_last_are_kept_in_order(items, most):
    recent = Recent(most)
    for key, value in items:
        recent[key] = value
    last = {}
    for key, value in reversed(items):
        last.setdefault(key, value)
    assert list(recent) == list(last.items())[:most][::-1]
    assert len(recent) == min(most, len(last))
    assert recent.get(10) is None


def test_it_keeps_something():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Recent(0)
