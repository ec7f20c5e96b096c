"""A model whose linear layers are transformers' Conv1D, from its folder to exact integers."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from summand.compress import Options, calibration_text, evaluate, load_integer, open_source, plan
from summand.compress.calibrate.text import windows
from summand.compress.evaluation.witness import check_reading
from summand.model import SummandModel


@pytest.fixture(scope="module")
def gpt2(tokenizer, tmp_path_factory):
    torch.manual_seed(0)
    config = GPT2Config(
        n_embd=32, n_layer=2, n_head=4, n_positions=64, vocab_size=256, initializer_range=0.2,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("hf") / "gpt2"
    GPT2LMHeadModel(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.mark.parametrize("lazy", [True, False])
def test_its_layers_are_linear_and_compute_the_same(gpt2, lazy):
    source = open_source(str(gpt2), lazy=lazy)
    assert source.weights is None
    assert isinstance(source.module.get_submodule("transformer.h.0.attn.c_proj"), nn.Linear)
    assert check_reading(source).independent


def test_it_is_compressed_and_loaded_again(gpt2, tmp_path):
    source = open_source(str(gpt2))
    job = plan(source, Options(bits=8), calibration_text(), tokens=300)
    job.run(tmp_path / "m")
    model = SummandModel(tmp_path / "m")
    assert len(model.names) == 9
    assert model.entry("transformer.h.1.mlp.c_fc").out_features == 128
    rows = windows(source.tokenizer, calibration_text(), tokens=120, window=60)
    found = evaluate(load_integer(model), rows, reference=source.module)
    assert found.kl_divergence is not None
    assert found.kl_divergence < 0.05
