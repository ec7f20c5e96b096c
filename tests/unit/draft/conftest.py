import random
from collections.abc import Callable, Sequence

import pytest

from summand.draft import Draft, Drafter, Seen

VOCABULARY = 20

#: A model: the likeliest tokens after a text.
Model = Callable[[Sequence[int]], tuple[int, ...]]


def _write(drafter: Drafter, model: Model, prompt: Sequence[int], tokens: int, most: int):
    """Write a text greedily, several tokens a pass; return it and the draft of each pass."""
    drafter.begin(prompt)
    text = [*prompt, model(prompt)[0]]
    drafter.learn(text[-1:], [Seen(prompt[-1], model(prompt))])
    drafts: list[Draft] = []
    while len(text) < len(prompt) + tokens:
        draft = drafter.propose(most)
        drafts.append(draft)
        seen = [Seen(text[-1], model(text))]
        paths: list[list[int]] = []
        for token, parent in zip(draft.tokens, draft.parents, strict=True):
            paths.append([*(paths[parent] if parent >= 0 else ()), token])
            seen.append(Seen(token, model([*text, *paths[-1]])))
        written = [seen[0].followers[0]]
        node = -1
        while (child := draft.child(node, written[-1])) is not None:
            node = child
            written.append(seen[node + 1].followers[0])
        drafter.learn(written, seen)
        text += written
    return text, drafts


@pytest.fixture(scope="session")
def write():
    return _write


def _model(seed: int, order: int) -> Model:
    """A model that looks at the last ``order`` tokens."""

    def followers(text: Sequence[int]) -> tuple[int, ...]:
        key = f"{seed} {list(text[-order:])}"
        return tuple(random.Random(key).sample(range(VOCABULARY), 4))

    return followers


@pytest.fixture(scope="session")
def make_model():
    return _model
