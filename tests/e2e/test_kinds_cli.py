"""Models that predict no next token get no perplexity, and write no text."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
)

from summand.cli import main
from summand.cli.devices import DeviceChoice

SMALL = {
    "vocab_size": 256, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 64, "initializer_range": 0.2,
}  # fmt: skip
BART = {
    "vocab_size": 256, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 2,
    "pad_token_id": 1, "decoder_start_token_id": 2, "forced_eos_token_id": None,
}  # fmt: skip

MADE = {
    "BertForMaskedLM": lambda: BertForMaskedLM(BertConfig(**SMALL)),
    "BertLMHeadModel": lambda: BertLMHeadModel(BertConfig(**SMALL)),
    "BartForConditionalGeneration": lambda: BartForConditionalGeneration(BartConfig(**BART)),
}
WHY = {
    "BertForMaskedLM": "BertForMaskedLM does not write text: it fills in words",
    "BertLMHeadModel": "BertLMHeadModel looks at the tokens behind the one that it predicts",
    "BartForConditionalGeneration": "BartForConditionalGeneration is an encoder and a decoder",
}


@pytest.fixture(scope="module", params=list(MADE))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tokenizer, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("kinds") / "source"
    torch.manual_seed(0)
    MADE[kind]().save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def compressed(folder) -> Path:
    """A Summand model of it: its layers can be compressed like any others."""
    path = folder.parent / "m"
    args = ["compress", folder, "-o", path, "--bits", 8, "--calibration-tokens", 300, "--json"]
    assert main([*map(str, args)]) == 0
    return path


def said(err: str) -> str:
    return " ".join(err.split())


def test_it_gets_no_perplexity(kind, folder, compressed, capsys):
    for path in (folder, compressed):
        capsys.readouterr()
        assert main(["evaluate", str(path), "--tokens", "100", "--json"]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert WHY[kind] in said(err)
        assert "a perplexity of it would mean nothing" in said(err)


def test_it_is_not_run_and_no_device_is_opened(kind, compressed, capsys, monkeypatch):
    monkeypatch.setattr(DeviceChoice, "open", lambda *_: pytest.fail("a device was opened"))
    capsys.readouterr()
    assert main(["run", str(compressed), "--prompt", "x"]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert WHY[kind] in said(err)
    assert "only causal language models can be run" in said(err)


def test_a_decoder_of_the_same_class_gets_one(tokenizer, tmp_path, capsys):
    torch.manual_seed(0)
    BertLMHeadModel(BertConfig(**SMALL, is_decoder=True)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert main(["evaluate", str(tmp_path), "--tokens", "100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["perplexity"] > 1
