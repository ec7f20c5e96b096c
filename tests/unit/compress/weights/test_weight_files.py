"""The files that are read are those that transformers reads, whatever others there are."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from summand.compress import CompressError, open_source, reopen
from summand.compress.weights.weight_files import WeightFiles

IDS = torch.arange(40)[None] * 7 % 256


@pytest.fixture
def folder(llama_folder, tmp_path) -> Path:
    return shutil.copytree(llama_folder, tmp_path / "copy")


@pytest.fixture
def sharded(save_llama) -> Path:
    """A folder with several files of weights and an index."""
    path = save_llama(blocks=2, hidden=48, inner=80, shard="60KB", seed=3)
    assert len(list(path.glob("model-*.safetensors"))) > 2
    return path


def other_weights(path: Path, to: Path, by: float = -3.0) -> None:
    """Write a file of the same tensors with other numbers."""
    tensors = {name: t * by for name, t in load_file(path).items()}
    save_file(tensors, to, metadata={"format": "pt"})


def logits(module) -> torch.Tensor:
    with torch.no_grad():
        return module(IDS).logits


def weights_read(path: Path, lazy: bool) -> dict[str, torch.Tensor]:
    """Return the parameters that Summand reads."""
    source = open_source(str(path), lazy=lazy)
    names = [name for name, _ in source.module.named_parameters(remove_duplicate=False)]
    assert (source.weights is not None) == lazy
    if source.weights:
        return {name: source.weights.tensor(name) for name in names}
    return {name: source.module.get_parameter(name) for name in names}


def assert_as_transformers(path: Path) -> None:
    """Assert that every way of reading gives what transformers' own loading does."""
    theirs = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    assert torch.equal(logits(open_source(str(path)).module), logits(theirs))
    for lazy in (False, True):
        for name, ours in weights_read(path, lazy).items():
            assert torch.equal(ours, theirs.get_parameter(name)), (name, lazy)


@pytest.mark.parametrize("name", ["a.safetensors", "zz.safetensors", "model-00001.safetensors"])
def test_files_of_other_names_are_left_aside(folder, name):
    other_weights(folder / "model.safetensors", folder / name)
    assert_as_transformers(folder)
    note = open_source(str(folder)).note
    assert (
        note == f"weights are read from model.safetensors, as transformers does; left aside: {name}"
    )


def test_a_single_file_comes_before_an_index(folder, sharded):
    for path in sharded.glob("model*"):
        shutil.copy(path, folder)
    assert_as_transformers(folder)
    assert "model.safetensors.index.json" in (open_source(str(folder), lazy=True).note or "")


def test_an_index_says_which_files_are_read(sharded):
    first = min(sharded.glob("model-*.safetensors"))
    other_weights(first, sharded / "model-00009-of-00009.safetensors")
    assert_as_transformers(sharded)
    files = WeightFiles.of(sharded)
    assert files.aside == ("model-00009-of-00009.safetensors",)
    assert f"{files.files[0].name} and {len(files.files) - 1} more" in (files.note or "")


def test_the_configuration_may_name_the_file(folder):
    other_weights(folder / "model.safetensors", folder / "turned.safetensors")
    raw = json.loads((folder / "config.json").read_text())
    raw["transformers_weights"] = "turned.safetensors"
    (folder / "config.json").write_text(json.dumps(raw))
    assert_as_transformers(folder)
    assert WeightFiles.of(folder).aside == ("model.safetensors",)


def test_nothing_is_said_where_all_is_read(folder, sharded):
    for path in (folder, sharded):
        assert open_source(str(path)).note is None


def test_only_what_is_read_is_what_was_compressed(folder):
    record = open_source(str(folder)).record
    other_weights(folder / "model.safetensors", folder / "late.safetensors")
    assert reopen(record).record == record
    other_weights(folder / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(CompressError, match="no longer the model that was compressed"):
        reopen(record)


def spoil_index(path: Path, change) -> None:
    index = path / "model.safetensors.index.json"
    raw = json.loads(index.read_text())
    change(raw)
    index.write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (
            lambda p: next(p.glob("model-00002*")).unlink(),
            r"index\.json names model-00002.*missi",
        ),
        (
            lambda p: spoil_index(p, lambda raw: raw["weight_map"].update(x="../x.safetensors")),
            r"index\.json must name files of its own folder",
        ),
        (lambda p: spoil_index(p, lambda raw: raw.update(weight_map={})), "must name files of its"),
        (lambda p: spoil_index(p, lambda raw: raw.pop("weight_map")), r"index\.json is damaged"),
        (
            lambda p: shutil.copy(*sorted(p.glob("model-0*"))[1:3]),
            r"tensor .* is in model-0000.-of-.* and in model-0000.-of-",
        ),
        (lambda p: (p / "adapter_config.json").write_text("{}"), "are those of another model and"),
        (
            lambda p: (p / "model.safetensors.index.json").unlink(),
            r"has no model\.safetensors and no .*; it has model-00001.* does not read; save",
        ),
    ],
)
def test_folders_that_contradict_themselves(sharded, tmp_path, spoil, match):
    path = shutil.copytree(sharded, tmp_path / "copy")
    spoil(path)
    for lazy in (False, True):
        with pytest.raises(CompressError, match=match):
            open_source(str(path), lazy=lazy)


@pytest.mark.parametrize("name", ["../model.safetensors", "pytorch_model.bin", 3])
def test_a_file_that_the_configuration_may_not_name(folder, name):
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | {"transformers_weights": name}))
    with pytest.raises(CompressError, match="transformers_weights must name a .safetensors file"):
        WeightFiles.of(folder)
