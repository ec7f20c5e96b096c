"""Token predictors are evaluated by predictions, encoders by embeddings."""

import copy

import pytest
import torch
from transformers import BertConfig, BertModel

from summand.compress import CompressError, Text
from summand.compress.calibrate.text import rows_of
from summand.compress.evaluation.embeddings import compare_embeddings
from summand.report import EmbeddingFigures, TokenFigures, read

TEXT = Text("own", "\n\n".join(f"This is sentence {i} of some. And it has {i}!" for i in range(9)))


@pytest.fixture(scope="module")
def encoders() -> tuple[BertModel, BertModel]:
    """An encoder, and a copy with slightly changed weights."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        vocab_size=256,
        max_position_embeddings=64,
    )
    plain = BertModel(config).eval()
    moved = copy.deepcopy(plain)
    with torch.no_grad():
        for p in moved.parameters():
            p.add_(torch.randn(p.shape), alpha=0.1)
    return plain, moved


def test_an_encoder_is_compared_by_its_embeddings(encoders, tokenizer):
    plain, moved = encoders
    rows = rows_of(plain, tokenizer, TEXT, tokens=200, window=64)
    seen = []
    note = lambda i, n: seen.append((i, n))  # noqa: E731
    found, seconds = read(moved, TEXT, rows, reference=plain, progress=note)
    assert isinstance(found, EmbeddingFigures)
    assert (found.text, found.text_sha256) == ("own", TEXT.sha256)
    assert found.size == f"{len(rows)} sentences"
    assert found.mean_cosine == compare_embeddings(moved, rows, plain).mean_cosine
    assert 0 < found.distance == 1 - found.mean_cosine
    assert seconds > 0
    assert seen[-1] == (len(rows), len(rows))


def test_an_encoder_alone_says_nothing(encoders, tokenizer):
    rows = rows_of(encoders[0], tokenizer, TEXT, tokens=200, window=64)
    with pytest.raises(CompressError, match="BertModel predicts no tokens and has nothing to be"):
        read(encoders[0], TEXT, rows)


def test_a_language_model_is_read_by_its_predictions(make_llama, tokenizer):
    llama = make_llama(blocks=1)
    rows = rows_of(llama, tokenizer, TEXT, tokens=200, window=64)
    found, _ = read(llama, TEXT, rows, reference=llama)
    assert isinstance(found, TokenFigures)
    assert found.size == f"{200 - len(rows)} tokens"
    assert found.distance == 0
    assert found.ratio == 1
    assert found.cells()["times full precision"] == "1.0000"
    alone, _ = read(llama, TEXT, rows)
    assert isinstance(alone, TokenFigures)
    assert alone.distance is alone.ratio is None
    assert [name for name, cell in alone.cells().items() if cell] == ["perplexity"]
    assert alone.uncompressed() == {}
