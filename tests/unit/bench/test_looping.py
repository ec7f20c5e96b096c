import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from summand.bench.prompts import loops

FEW = st.lists(st.integers(0, 2), max_size=60)


def loops_as_text(tokens: list[int]) -> bool:
    """The same by a regular expression: all matches end together, and the first is the longest."""
    text = "".join(chr(ord("a") + token) for token in tokens)
    found = re.search(r"(.{1,40})\1{2,}$", text)
    return found is not None and len(found[0]) >= 12


@given(FEW)
@example([0] * 11)
@example([0] * 12)
@example([0, 1] * 6)
def test_any_text(tokens):
    assert loops(tokens) == loops_as_text(tokens)


@given(
    FEW,
    st.lists(st.integers(0, 20), min_size=1, max_size=45),
    st.integers(2, 5),
    st.integers(0, 44),
    st.lists(st.integers(0, 20), max_size=1),
)
def test_text_then_a_run_again_and_again(before, run, copies, cut, after):
    tokens = before + run * copies + run[:cut] + after
    assert loops(tokens) == loops_as_text(tokens)


@pytest.mark.parametrize(
    ("run", "copies", "expected"),
    [(1, 11, False), (1, 12, True), (4, 2, False), (4, 3, True), (5, 2, False), (5, 3, True)]
    + [(40, 2, False), (40, 3, True), (41, 3, False)],
)
def test_limits(run, copies, expected):
    tokens = [7, 8, 9, *list(range(100, 100 + run)) * copies]
    assert loops(tokens) is expected
    assert loops(tuple(tokens)) is expected


def test_a_loop_may_be_cut_off_but_nothing_may_follow():
    loop = [1, 2, 3, 4, 5] * 3 + [1, 2]
    assert loops([9, *loop])
    assert not loops([*loop, 9])


def test_nothing_does_not_loop():
    assert not loops([])
