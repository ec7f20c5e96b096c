"""Tensors that a configuration does not mention are used or refused, never ignored."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from summand.compress import CompressError, Options, Text, evaluate, load_integer, open_source, plan
from summand.model import SummandModel

IDS = torch.arange(40)[None] * 7 % 256
TEXT = Text("test", "the quick brown fox jumps over the lazy dog; " * 40)


@pytest.fixture
def folder(llama_folder, tmp_path) -> Path:
    return shutil.copytree(llama_folder, tmp_path / "copy")


def add(folder: Path, tensors, config=None) -> None:
    """Add tensors to a folder's weights."""
    path = folder / "model.safetensors"
    save_file(load_file(path) | tensors, path, metadata={"format": "pt"})
    raw = json.loads((folder / "config.json").read_text()) | (config or {})
    (folder / "config.json").write_text(json.dumps(raw))


def refused(folder: Path, match: str) -> None:
    for lazy in (False, True):
        with pytest.raises(CompressError, match=match):
            open_source(str(folder), lazy=lazy)


def block(index: int, folder: Path) -> dict[str, torch.Tensor]:
    return {
        name.replace("layers.0.", f"layers.{index}."): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
        if "layers.0." in name
    }


def test_biases_that_the_configuration_does_not_have(folder):
    add(folder, {"model.layers.0.self_attn.q_proj.bias": torch.ones(48)})
    refused(
        folder, r"has 1 tensors that LlamaForCausalLM, as config\.json has it, does not use, .*q_p"
    )


def test_biases_that_it_has_are_used(folder):
    biases = {
        f"model.layers.{i}.self_attn.{p}_proj.bias": torch.full((24 if p in "kv" else 48,), 0.5)
        for i in range(2)
        for p in "qkvo"
    }
    add(folder, biases, {"attention_bias": True})
    theirs = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(open_source(str(folder)).module(IDS).logits, theirs(IDS).logits)
    assert open_source(str(folder), lazy=True).weights is not None


def test_layers_that_the_configuration_does_not_have(folder):
    add(folder, block(2, folder))
    refused(folder, r"has 9 tensors .* does not use, .*model\.layers\.2\.input_layernorm\.weight")


def test_scales_that_no_configuration_explains(folder):
    name = "model.layers.0.mlp.up_proj"
    weight = load_file(folder / "model.safetensors")[f"{name}.weight"]
    scale = weight.abs().amax(dim=1, keepdim=True) / 400
    eight = (weight / scale).to(torch.float8_e4m3fn)
    add(folder, {f"{name}.weight": eight, f"{name}.weight_scale": scale})
    refused(folder, r"has 1 tensors .* does not use, .*up_proj\.weight_scale")


def test_whole_numbers_that_no_configuration_explains(folder):
    name = "model.layers.0.mlp.up_proj.weight"
    add(folder, {name: torch.ones(80, 48, dtype=torch.int8)})
    refused(folder, rf"has 1 weights that are whole numbers, the first of them {name}")


def test_what_old_checkpoints_have_besides_is_no_matter(folder):
    """Buffers that transformers computes itself, and ignores in a file."""
    add(folder, {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.full((6,), 9.0)})
    theirs = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(open_source(str(folder)).module(IDS).logits, theirs(IDS).logits)
    assert open_source(str(folder), lazy=True).weights is not None


@pytest.fixture
def untied(folder) -> Path:
    """A folder whose configuration says tied, with a head of its own."""
    generator = torch.Generator().manual_seed(9)
    add(folder, {"lm_head.weight": torch.randn(256, 48, generator=generator)})
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"]
    return folder


@pytest.mark.parametrize("lazy", [False, True])
def test_a_tied_head_that_is_not_is_the_checkpoints(untied, tmp_path, lazy):
    """The compressed model equals transformers', read at once or a block at a time."""
    theirs = LlamaForCausalLM.from_pretrained(untied, dtype=torch.float32)
    source = open_source(str(untied), lazy=lazy)
    with torch.no_grad():
        assert torch.equal(source.module(IDS).logits, theirs(IDS).logits)
    job = plan(source, Options(bits=8, act_bits=10), TEXT, tokens=400)
    assert "lm_head" in job.survey.layers
    job.run(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    module = load_integer(SummandModel(tmp_path / "m"))
    figures = evaluate(module, [IDS], reference=theirs)
    assert figures.kl_divergence is not None
    assert figures.kl_divergence < 0.01
    embedding = module.get_parameter("model.embed_tokens.weight")
    assert torch.equal(embedding, theirs.get_parameter("model.embed_tokens.weight"))


def test_a_head_that_is_stored_twice_alike_is_tied(folder):
    path = folder / "model.safetensors"
    add(folder, {"lm_head.weight": load_file(path)["model.embed_tokens.weight"].clone()})
    for lazy in (False, True):
        source = open_source(str(folder), lazy=lazy)
        assert (source.weights is not None) == lazy
        head, embedding = (
            source.module.get_parameter(f"{name}.weight")
            for name in ("lm_head", "model.embed_tokens")
        )
        assert head is embedding
