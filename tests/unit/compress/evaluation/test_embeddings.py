import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from summand.compress import CompressError, Text
from summand.compress.calibrate.text import rows_of, sentences_of
from summand.compress.evaluation.embeddings import compare_embeddings
from summand.compress.network.predictions import embeds

BODY = "\n\n".join(
    f"This is sentence {i} of many. Short. And here is its other half, number {i}! {'x' * 500}."
    for i in range(20)
)


@pytest.fixture(scope="module")
def encoder() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        vocab_size=256,
        max_position_embeddings=64,
    )
    return BertModel(config).eval()


@pytest.fixture(scope="module")
def rows(encoder, tokenizer):
    return rows_of(encoder, tokenizer, Text("t", BODY), tokens=500, window=64)


def test_sentences_are_cut_where_they_end(tokenizer):
    (first, second, *_) = sentences_of(tokenizer, Text("t", BODY), tokens=500, window=64)
    assert tokenizer.decode(first[0]) == "This is sentence 0 of many."
    assert tokenizer.decode(second[0]) == "And here is its other half, number 0!"


def test_no_more_than_asked_for(rows):
    assert 450 < sum(ids.numel() for ids in rows) <= 500
    assert all(ids.shape[0] == 1 and ids.shape[1] <= 64 for ids in rows)


def test_equal_sentences_count_once(tokenizer):
    twice = Text("t", "\n\n".join([BODY, BODY]))
    once = sentences_of(tokenizer, Text("t", BODY), tokens=9999, window=64)
    assert len(sentences_of(tokenizer, twice, tokens=9999, window=64)) == len(once) == 40


def test_a_model_with_a_head_reads_windows(llama):
    assert not embeds(llama.module)
    windows = rows_of(llama.module, llama.tokenizer, Text("t", BODY), tokens=200, window=64)
    assert [row.shape[1] for row in windows] == [64, 64, 64, 8]


def test_too_few_sentences(tokenizer):
    with pytest.raises(CompressError, match="own has 1 sentences; give more text"):
        sentences_of(tokenizer, Text("own", "This is one sentence only."), tokens=99, window=64)


def test_a_model_is_like_itself(encoder, rows):
    found = compare_embeddings(encoder, rows, encoder)
    assert found.mean_cosine == pytest.approx(1)
    assert found.least_cosine == pytest.approx(1)
    assert found.similarity_error == 0
    assert found.same_nearest == 1
    assert (found.sentences, found.tokens) == (len(rows), sum(ids.numel() for ids in rows))


def test_a_model_that_was_moved_is_less_so(encoder, rows):
    moved = [_moved(encoder, by) for by in (0.02, 0.2)]
    near, far = (compare_embeddings(module, rows, encoder) for module in moved)
    assert 1 > near.mean_cosine > far.mean_cosine
    assert near.least_cosine <= near.mean_cosine
    assert 0 < near.similarity_error < far.similarity_error
    # By hand, for the first sentence.
    a, b = (m(input_ids=rows[0]).last_hidden_state[0].mean(dim=0) for m in (moved[1], encoder))
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=0).detach()
    assert far.least_cosine <= float(cosine) + 1e-6


def _moved(encoder: BertModel, by: float) -> BertModel:
    other = BertModel(encoder.config).eval()
    other.load_state_dict(encoder.state_dict())
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(torch.randn(p.shape, generator=g), alpha=by)
    return other


def test_what_has_no_hidden_states(encoder, rows):
    class Bare(nn.Module):
        def forward(self, input_ids):
            return input_ids

    with pytest.raises(CompressError, match="Bare predicts no tokens and has no hidden states"):
        compare_embeddings(Bare(), rows, encoder)
