"""Drafts change nothing: not a token, and not a bit of the logits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.decoding import Sampling, Speculation, Writer
from summand.decoding.reader import Reader
from summand.draft import Draft

ROLLED_BACK = ["llama", "gpt2", "gpt-neox", "mistral", "gemma2", "qwen3", "phi3"]
PROMPT = [5, 6, 7, 3, 1, 2, 9]


@torch.no_grad()
def plain(model: torch.nn.Module, tokens: int) -> list[int]:
    """Write greedily with the model's own cache, without any code of Summand."""
    out = model(torch.tensor([PROMPT]), use_cache=True)
    written = [int(out.logits[0, -1].argmax())]
    while len(written) < tokens:
        cache = getattr(out, "cache", None) or out.past_key_values
        name = "cache" if hasattr(out, "cache") else "past_key_values"
        out = model(torch.tensor([written[-1:]]), use_cache=True, **{name: cache})
        written.append(int(out.logits[0, -1].argmax()))
    return written


@pytest.mark.parametrize("name", ROLLED_BACK)
@pytest.mark.parametrize("seed", range(2))
def test_drafts_do_not_change_greedy_tokens(make_model, guessing, name, seed):
    model = make_model(name)
    text = plain(model.model, 24)
    writer = Writer(*model, speculation=Speculation(guessing(text, seed), 7))
    assert list(writer.write(PROMPT, tokens=24)) == text
    assert writer.why_plain is None
    assert sum(p.accepted for p in writer.passes) > 3
    assert sum(p.proposed for p in writer.passes) > sum(p.accepted for p in writer.passes)
    assert max(model.rows) > 4
    assert writer.chosen == 23 == sum(1 + p.accepted for p in writer.passes)


@pytest.mark.parametrize("name", ROLLED_BACK)
def test_drafts_do_not_change_what_chance_takes(make_model, guessing, name):
    model = make_model(name)
    texts = []
    for seed in range(4):
        how = Sampling(temperature=0.7, seed=seed)
        text = list(Writer(*model, sampling=how).write(PROMPT, tokens=16))
        writer = Writer(*model, sampling=how, speculation=Speculation(guessing(text, seed), 7))
        assert list(writer.write(PROMPT, tokens=16)) == text
        texts.append(text)
    assert plain(model.model, 16) not in texts


@settings(max_examples=6, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", ROLLED_BACK)
def test_logits_of_a_tree_are_those_of_its_paths(make_model, name, data):
    """Each path, read token by token with nothing beside it, has the same logits, every bit."""
    model = make_model(name)
    parents = tuple(
        data.draw(st.integers(-1, node - 1)) for node in range(data.draw(st.integers(0, 6)))
    )
    draft = Draft(tuple(3 * node for node in range(len(parents))), parents)
    with torch.no_grad():
        reader = Reader(*model)
        reader.prompt(PROMPT)
        rows = [row.get() for row in reader.tree(8, draft)]
        for node in range(-1, len(parents)):
            path = [node]
            while path[0] >= 0:
                path.insert(0, parents[path[0]])
            alone = Reader(*model)
            alone.prompt(PROMPT)
            logits = torch.zeros(0)
            for step in path:
                token = draft.tokens[step] if step >= 0 else 8
                logits = alone.tree(token, Draft())[0].get()
                alone.keep([])
            assert torch.equal(logits, rows[node + 1])


@pytest.mark.parametrize("name", ROLLED_BACK)
def test_kept_paths_go_on_as_if_nothing_had_been_beside_them(make_model, name):
    model = make_model(name)
    draft = Draft((10, 11, 12, 13, 14), (-1, -1, 1, 2, 0))
    with torch.no_grad():
        reader, alone = Reader(*model), Reader(*model)
        reader.prompt(PROMPT)
        alone.prompt(PROMPT)
        reader.tree(8, draft)
        reader.keep([1, 2])
        for token in (8, 11, 12):
            alone.tree(token, Draft())
            alone.keep([])
        for token in range(20, 40):
            (mine,), (theirs,) = reader.tree(token, Draft()), alone.tree(token, Draft())
            reader.keep([])
            alone.keep([])
            assert torch.equal(mine.get(), theirs.get())


def test_texts_follow_each_other(make_model, guessing):
    model = make_model("llama")
    text = plain(model.model, 9)
    writer = Writer(*model, speculation=Speculation(guessing(text, 1), 7))
    assert [list(writer.write(PROMPT, tokens=9)) for _ in range(2)] == [text, text]
    assert writer.chosen == 16


def test_a_cache_that_cannot_be_rolled_back_is_read_token_by_token(make_model, guessing):
    model = make_model("lfm2")
    text = plain(model.model, 12)
    writer = Writer(*model, speculation=Speculation(guessing(text, 0), 7))
    assert list(writer.write(PROMPT, tokens=12)) == text
    assert "LinearAttentionLayer, which cannot be rolled back" in (writer.why_plain or "")
    assert {p.proposed for p in writer.passes} == {0}


def test_a_node_that_the_model_cannot_read_matters_only_where_it_is_taken(make_model, guessing):
    """GPT-2 has no place for tokens beyond its context; a draft may reach beyond it."""
    model = make_model("gpt2")
    prompt = [1] * 60
    text = list(Writer(*model).write(prompt, tokens=4))

    class Far(guessing):
        def propose(self, most):
            return Draft((1, 1, 1, 1, 1, 1, 1), (-1, 0, 1, 2, 3, 4, 5))

    writer = Writer(*model, speculation=Speculation(Far(text, 0), 7))
    assert list(writer.write(prompt, tokens=4)) == text
    with pytest.raises(IndexError):
        list(Writer(*model).write(prompt, tokens=9))
