import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.draft import Draft


@st.composite
def drafts(draw):
    tokens, parents = [], []
    for node in range(draw(st.integers(0, 8))):
        parent = draw(st.integers(-1, node - 1))
        taken = {t for t, p in zip(tokens, parents, strict=True) if p == parent}
        tokens.append(draw(st.sampled_from(sorted(set(range(21)) - taken))))
        parents.append(parent)
    return Draft(tuple(tokens), tuple(parents))


@given(drafts())
def test_each_node_is_its_parents_child_and_one_deeper(draft):
    for node, parent in enumerate(draft.parents):
        assert draft.child(parent, draft.tokens[node]) == node
        assert draft.child(parent, 21) is None
        assert draft.depth(node) == (1 if parent < 0 else draft.depth(parent) + 1)


@given(drafts(), st.integers(0, 9))
def test_first_nodes_are_a_tree(draft, count):
    first = draft.first(count)
    assert len(first) == min(count, len(draft))
    assert first.tokens == draft.tokens[:count]
    assert first.parents == draft.parents[:count]


def test_first_counts_from_zero():
    with pytest.raises(ValueError, match="0 or more, not -1"):
        Draft((1, 2), (-1, 0)).first(-1)


@pytest.mark.parametrize(
    ("tokens", "parents", "message"),
    [
        ((1,), (), "a parent for each of 1 tokens, not 0"),
        ((1, 2), (-1, 1), "node 1's parent must be -1 to 0, not 1"),
        ((1,), (-2,), "node 0's parent must be -1 to -1, not -2"),
        ((1, 2, 1), (-1, 0, -1), "different tokens"),
    ],
)
def test_what_is_no_tree_is_refused(tokens, parents, message):
    with pytest.raises(ValueError, match=message):
        Draft(tokens, parents)
