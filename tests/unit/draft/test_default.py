"""Drafters as they are used: with a model that checks what they propose."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.draft import LikeliestFirst, PromptLookup, Seen, Siblings, make_drafter

VOCABULARY = 20
prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30)


@given(prompts, st.integers(0, 3), st.integers(1, 3), st.integers(0, 15))
def test_drafts_are_no_larger_than_asked_and_no_token_changes(
    write, make_model, prompt, seed, order, most
):
    model = make_model(seed, order)
    text, drafts = write(make_drafter(VOCABULARY), model, prompt, 30, most)
    plain = list(prompt)
    while len(plain) < len(text):
        plain.append(model(plain)[0])
    assert text == plain
    for draft in drafts:
        assert len(draft) <= most
        assert set(draft.tokens) <= set(range(VOCABULARY))


@given(prompts, st.integers(1, 14))
def test_the_first_nodes_are_the_smaller_draft(write, make_model, prompt, fewer):
    drafter = make_drafter(VOCABULARY)
    write(drafter, make_model(1, 2), prompt, 40, 7)
    assert drafter.propose(fewer) == drafter.propose(15).first(fewer)


@given(prompts)
def test_the_same_history_gives_the_same_drafts(write, make_model, prompt):
    first, second = (
        write(make_drafter(VOCABULARY), make_model(2, 2), prompt, 40, 7) for _ in range(2)
    )
    assert first == second


def test_a_text_that_repeats_is_continued():
    drafter = make_drafter(VOCABULARY)
    run = [3, 1, 4, 15, 9, 2, 6, 5]
    drafter.begin(run * 2 + run[:3])
    assert drafter.propose(7).tokens == (15, 9, 2, 6, 5, 3, 1)
    assert drafter.propose(7).parents == (-1, 0, 1, 2, 3, 4, 5)


def test_what_one_text_taught_serves_the_next(write, make_model):
    model = make_model(5, 1)
    drafter = make_drafter(VOCABULARY)
    cold = len(write(drafter, model, [7], 60, 7)[1])
    warm = len(write(drafter, model, [7], 60, 7)[1])
    kept = len(write(make_drafter(VOCABULARY, drafter.learned), model, [7], 60, 7)[1])
    assert warm < cold
    assert kept < cold


def test_nothing_is_proposed_where_nothing_is_known():
    drafter = make_drafter(VOCABULARY)
    drafter.begin([1, 2, 3])
    assert len(drafter.propose(7)) == 0


def test_rows_of_the_whole_prompt_teach():
    drafter = make_drafter(VOCABULARY)
    drafter.begin([1, 2, 3])
    drafter.learn([4], [Seen(1, (11,)), Seen(2, (12,)), Seen(3, (4, 13))])
    drafter.begin([5, 1, 2])
    assert drafter.propose(1).tokens == (12,)
    assert dict(drafter.learned.pairs) == {(1, 2): (12,), (2, 3): (4, 13)}


def test_rows_of_another_draft_are_refused():
    drafter = make_drafter(VOCABULARY)
    drafter.begin([1, 2, 1])
    with pytest.raises(ValueError, match="last tokens of the text"):
        drafter.learn([4], [Seen(7, (4,))])
    assert drafter.propose(1).tokens == (2,)
    with pytest.raises(ValueError, match="first nodes of the draft"):
        drafter.learn([4], [Seen(1, (4,)), Seen(9, (4,))])


def test_a_part_of_a_draft_may_be_checked():
    drafter = make_drafter(VOCABULARY)
    drafter.begin([1, 2, 3, 1, 2, 3, 1])
    assert len(drafter.propose(7)) == 7
    drafter.learn([2, 5], [Seen(1, (2,)), Seen(2, (5,))])
    assert dict(drafter.learned.pairs) == {(3, 1): (2,), (1, 2): (5,)}


def test_a_token_of_another_vocabulary_is_refused():
    drafter = make_drafter(VOCABULARY)
    drafter.begin([1])
    with pytest.raises(ValueError, match="tokens must be 0 to 19, not 20"):
        drafter.learn([2], [Seen(1, (2, 20))])


def test_followers_of_rejected_rows_are_proposed_next():
    drafter = LikeliestFirst((PromptLookup(), Siblings()))
    drafter.begin([1, 2, 9, 1])
    assert drafter.propose(1).tokens == (2,)
    drafter.learn([3], [Seen(1, (3,)), Seen(2, (17, 18))])
    assert drafter.propose(2).tokens == (17, 18)
    drafter.learn([4], [Seen(3, (4,))])
    assert len(drafter.propose(2)) == 0


def test_proposing_is_quick(write, make_model):
    drafter = make_drafter(VOCABULARY)
    write(drafter, make_model(3, 2), [1], 300, 15)
    drafter.propose(15)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        drafter.propose(15)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.002  # a millisecond on a core of its own
