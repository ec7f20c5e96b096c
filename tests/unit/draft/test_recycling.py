import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.draft import PromptLookup, Recycled, TokenRecycling
from summand.draft import recycling as module
from summand.draft.evidence import CONTEXT, Read
from summand.draft.recycled import WIDTH

VOCABULARY = 12
token = st.integers(0, VOCABULARY - 1)
rows = st.lists(
    st.builds(
        Read,
        st.lists(token, min_size=1, max_size=4).map(tuple),
        st.lists(token, min_size=1, max_size=10, unique=True).map(tuple),
        st.booleans(),
    ),
    max_size=60,
)


@given(rows)
def test_what_is_kept_is_bounded_and_starts_another(given_rows):
    bound = 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PAIRS", bound)
        recycling = TokenRecycling(VOCABULARY)
        recycling.read(given_rows)
        learned = recycling.learned
        assert len(learned.pairs) <= bound
        assert all(len(followers) <= WIDTH for _, followers in learned.singles + learned.pairs)
        assert TokenRecycling(VOCABULARY, learned).learned == learned


@given(st.lists(st.integers(0, 999), max_size=600))
def test_common_tokens_are_few(tokens):
    recycling = TokenRecycling(1000)
    for t in tokens:
        recycling.write(t)
    recycling.read([])
    for suggestion in recycling.suggest((1, 2), drafted=False):
        assert len(suggestion.tokens) <= WIDTH
        assert set(suggestion.tokens) <= set(tokens)


def test_common_tokens_outlive_rare_ones():
    recycling = TokenRecycling(10_000)
    for t in range(2000):
        recycling.write(t)
        recycling.write(5)
    recycling.read([])
    (suggestion,) = recycling.suggest((), drafted=False)
    assert suggestion.tokens[0] == 5


def test_newer_followers_come_first_and_older_ones_stay():
    recycling = TokenRecycling(VOCABULARY)
    recycling.read([Read((1,), (2, 3), False), Read((1,), (4, 2), False)])
    assert dict(recycling.learned.singles)[1] == (4, 2, 3)


def test_pairs_count_more_than_their_last_token():
    recycling = TokenRecycling(VOCABULARY)
    recycling.read([Read((2,), (6, 7), False), Read((1, 2), (8, 9), False)])
    (after_pair,) = recycling.suggest((1, 2), drafted=False)
    (after_last,) = recycling.suggest((3, 2), drafted=False)
    assert after_pair.tokens == (8, 9, 6, 7)
    assert after_last.tokens == (8, 9, 6, 7)
    recycling.read([Read((3, 2), (5,), False)])
    assert next(iter(recycling.suggest((1, 2), drafted=False))).tokens[0] == 8
    assert next(iter(recycling.suggest((4, 2), drafted=False))).tokens[0] == 5


def test_what_was_learned_of_another_vocabulary_is_refused():
    with pytest.raises(ValueError, match="of 13 tokens, not 12"):
        TokenRecycling(13, Recycled(VOCABULARY))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocabulary": 0}, "at least 1, not 0"),
        ({"singles": ((12, (1,)),)}, "singles must be 0 to 11, not 12"),
        ({"pairs": (((1, -1), (1,)),)}, "pairs must be 0 to 11, not -1"),
        ({"singles": ((1, (12,)),)}, "followers of singles must be 0 to 11, not 12"),
        ({"singles": ((1, ()),)}, "1 to 8 different tokens"),
        ({"singles": ((1, (2, 2)),)}, "1 to 8 different tokens"),
        ({"pairs": (((1, 2), tuple(range(9))),)}, "1 to 8 different tokens"),
        ({"singles": ((1, (2,)), (1, (3,)))}, "singles must each occur once"),
        ({"pairs": (((1, 2), (2,)),) * 40000}, "at most 32768, not 40000"),
    ],
)
def test_what_cannot_have_been_learned_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Recycled(**{"vocabulary": VOCABULARY, **fields})


@given(st.lists(st.integers(0, 2), max_size=60))
def test_look_up_finds_the_longest_run_and_its_newest_continuation(text):
    lookup = PromptLookup()
    lookup.begin(text)
    found = list(lookup.suggest(tuple(text[-CONTEXT:]), drafted=False))
    for length in range(CONTEXT, 0, -1):
        run = text[len(text) - length :]
        after = [text[i + length] for i in range(len(text) - length) if text[i : i + length] == run]
        if len(run) == length and after:
            assert found[0].tokens == tuple(dict.fromkeys(reversed(after)))[:3]
            return
    assert not found


def test_look_up_forgets_runs_of_long_ago():
    lookup = PromptLookup(most=10)
    lookup.begin([1, 2, *range(100, 200)])
    assert not list(lookup.suggest((1,), drafted=False))
    assert list(lookup.suggest((198,), drafted=False))
