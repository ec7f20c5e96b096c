import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.cycles.calendar import Calendar


def calendar(*taken: tuple[int, int, int], horizon: int = 1000) -> Calendar:
    made = Calendar()
    for progression in taken:
        made.take(*progression)
    made.horizon = horizon
    return made


def test_nothing_taken_is_free():
    assert calendar().free(5) == 5


def test_unknown_beyond_the_horizon_and_asked_again():
    book = calendar((10, 1, 5), horizon=15)
    assert book.free(9) == 9
    assert book.free(10) is None
    book.horizon = 16
    assert book.free(10) == 15  # the cycles taken before are still taken


@pytest.mark.parametrize(("cycle", "free"), [(9, 9), (10, 11), (12, 12), (13, 14), (16, 17)])
def test_between_words(cycle, free):
    assert calendar((10, 3, 3)).free(cycle) == free


def test_adjacent_runs_are_skipped_together():
    assert calendar((10, 1, 5), (15, 1, 2), (17, 4, 2)).free(11) == 18


@given(
    runs=st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=6
    ),
    steps=st.lists(st.integers(0, 6), min_size=1, max_size=20),
)
def test_equals_a_set(runs, steps):
    book, taken, start = Calendar(), set(), 0
    for gap, step, count in runs:
        first = start + gap
        book.take(first, step, count)
        taken |= {first + i * step for i in range(count)}
        start = max(taken) + 1
    book.horizon = 10_000
    cycle = 0
    for step in steps:
        cycle += step
        expected = next(c for c in range(cycle, 10_000) if c not in taken)
        assert book.free(cycle) == expected
