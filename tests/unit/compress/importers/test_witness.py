"""The independent check of a model: transformers reads it by itself, where it can."""

import sys

import pytest
import torch
from torch import nn

from summand.compress import CompressError, ModelSource, open_source
from summand.compress.evaluation.witness import check_reading

from .test_folders import PACKED, packed

#: transformers' report of a loading in which every tensor fitted.
_LOADED = {"mismatched_keys": []}


def test_a_folder_is_read_twice(llama):
    witness = check_reading(llama)
    assert witness.independent
    assert witness.how == "as transformers reads them by itself: outputs 0.0e+00 apart"


@pytest.mark.parametrize("share", [0.01, 1.0])
def test_another_reading_is_refused(llama_folder, share):
    source = open_source(str(llama_folder))
    with torch.no_grad():
        source.module.get_parameter("model.layers.1.mlp.up_proj.weight").mul_(1 + share)
    with pytest.raises(CompressError, match=r"compute outputs that are .*% apart; figures would"):
        check_reading(source)


def test_what_transformers_cannot_read_is_said(quantised_folder, monkeypatch):
    """The libraries of quantised folders are not needed; without them there is no witness."""
    import transformers.quantizers.quantizer_compressed_tensors as quantizer

    monkeypatch.setattr(quantizer, "is_compressed_tensors_available", lambda: False, raising=False)
    monkeypatch.setitem(sys.modules, "compressed_tensors", None)
    path, _ = quantised_folder(packed(), PACKED)
    witness = check_reading(open_source(str(path)))
    assert not witness.independent
    assert witness.how.startswith("read by Summand alone; transformers cannot load it here (")


def test_what_comes_from_no_file_has_no_witness(llama):
    assert not check_reading(ModelSource(nn.Linear(2, 2), llama.tokenizer, {})).independent


def test_a_quantised_folder_that_was_read_otherwise_is_refused(quantised_folder, monkeypatch):
    """A stand-in for the library that reads the folder independently gives other weights."""
    path, matrices = quantised_folder(packed(), PACKED)
    source = open_source(str(path))

    near, far = (open_source(str(path)).module for _ in range(2))
    with torch.no_grad():
        for name in matrices:
            near.get_parameter(f"{name}.weight").mul_(1 + 2e-4)  # as floats of 16 bits do
            far.get_parameter(f"{name}.weight").mul_(1.1)
    monkeypatch.setattr(type(near), "from_pretrained", lambda *_, **__: (near, _LOADED))
    assert check_reading(source).independent
    monkeypatch.setattr(type(far), "from_pretrained", lambda *_, **__: (far, _LOADED))
    with pytest.raises(CompressError, match=r"apart; figures would be of another model"):
        check_reading(source)
