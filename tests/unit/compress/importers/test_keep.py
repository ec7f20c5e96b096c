"""Whole models: some layers are taken over, the rest are compressed anew, both are listed."""

import dataclasses
import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch

from summand.cli import main
from summand.compress import CompressError, Options, Text, open_source, plan
from summand.compress.importers.rows import find_rows
from summand.model import SummandModel
from summand.model.transform import same_transform
from summand.summands.dense import DenseEntry

from .conftest import dense, linear
from .test_folders import GPTQ, PACKED, gptq, packed

TEXT = Text("test", "the quick brown fox jumps over the lazy dog; " * 40)
KEEP = Options(keep_quantised=True, head_bits=5, scale_bits=8)


def some(first, second, when):
    """Return a writer that uses ``second`` for the layers that ``when`` picks, else ``first``."""
    count = iter(range(1000))

    def write(weight, rng):
        return (second if when(next(count)) else first)(weight, rng)

    return write


def test_a_quantised_model_is_taken_over(quantised_folder, tmp_path):
    path, matrices = quantised_folder(packed(), PACKED)
    job = plan(open_source(str(path)), KEEP, TEXT, tokens=400)
    manifest = job.run(tmp_path / "m")
    kept = manifest.options["kept"]
    assert kept["format"] == "compressed-tensors"
    assert kept["layers"].keys() == matrices.keys()
    assert kept["not_kept"] == {"lm_head": "not quantised in the compressed-tensors checkpoint"}
    model = SummandModel(tmp_path / "m")
    assert model.entry("lm_head").summands == (DenseEntry(bits=5),)
    for name, matrix in matrices.items():
        layer = model.layer(name)
        summand = dense(layer)
        assert (summand.bits, summand.group, summand.scale_bits) == (4, 16, 8)
        error = np.linalg.norm(layer.matrix().T - matrix) / np.linalg.norm(matrix)
        assert kept["layers"][name]["matrix_error"] == pytest.approx(error)
        assert error < 0.003
        assert layer.transform is None
    assert (
        json.loads((tmp_path / "m" / "config.json").read_text()).get("quantization_config") is None
    )


def test_layers_that_are_taken_over_may_have_groups_of_channels(quantised_folder, tmp_path):
    """Where there can be no rotation; the rest is rotated as ever."""
    path, matrices = quantised_folder(packed(), PACKED)
    options = dataclasses.replace(KEEP, act_groups=4, act_block=16)
    source = open_source(str(path))
    with torch.no_grad():
        for name, p in source.module.named_parameters():
            if "norm" in name:
                p[5:12] *= 32
    manifest = plan(source, options, TEXT, tokens=400).run(tmp_path / "m")
    model = SummandModel(tmp_path / "m")
    grouped = [name for name in matrices if model.entry(name).borders]
    assert grouped
    for name in matrices:
        layer = model.layer(name)
        matrix, transform = layer.matrix(), layer.transform
        if transform is not None:
            assert transform.groups is not None
            assert transform.balance is None
            assert not np.any(np.array([first for first, _ in layer.borders]) % 16)
            matrix = matrix[transform.groups.places]
        error = np.linalg.norm(matrix.T - matrices[name]) / np.linalg.norm(matrices[name])
        kept = manifest.options["kept"]["layers"][name]
        assert kept["matrix_error"] == pytest.approx(error, rel=1e-3)
        assert error < 0.003
    assert model.entry("lm_head").rotation == 0
    for group in model.groups:
        first, *others = (model.layer(name).transform for name in group)
        assert all(same_transform(first, other) for other in others)


def test_what_cannot_be_held_is_compressed_anew_and_named(quantised_folder, tmp_path):
    writer = some(gptq(), gptq(order=3), lambda i: i % 7 == 0)
    path, matrices = quantised_folder(writer, GPTQ)
    job = plan(open_source(str(path)), KEEP, TEXT, tokens=400)
    assert job.keeper is not None
    scattered = {n for n in matrices if n in job.keeper.reasons}
    assert len(scattered) == 2
    for name in scattered:
        assert job.keeper.reasons[name].startswith("activation order: its groups are not")
    manifest = job.run(tmp_path / "m")
    assert manifest.options["kept"]["layers"].keys() == matrices.keys() - scattered
    assert manifest.options["kept"]["not_kept"].keys() == scattered | {"lm_head"}
    # Layers that share an input share its transform.
    model = SummandModel(tmp_path / "m")
    for group in model.groups:
        assert len({model.layer(name).transform is None for name in group}) == 1


def test_an_activation_order_that_keeps_neighbours_together_is_held(quantised_folder, tmp_path):
    path, matrices = quantised_folder(gptq(turned=True), GPTQ | {"desc_act": True})
    manifest = plan(open_source(str(path)), KEEP, TEXT, tokens=400).run(tmp_path / "m")
    assert manifest.options["kept"]["layers"].keys() == matrices.keys()
    model = SummandModel(tmp_path / "m")
    for name, matrix in matrices.items():
        error = np.linalg.norm(model.layer(name).matrix().T - matrix) / np.linalg.norm(matrix)
        assert error < 0.003


def test_what_is_compressed_anew_has_its_error_stated(quantised_folder, tmp_path):
    """The error is relative to the checkpoint's weights, which are read exactly."""
    errors = []
    for bits in (4, 8):
        writer = some(gptq(), gptq(order=3), lambda i: i % 7 == 0)
        path, _ = quantised_folder(writer, GPTQ)
        options = Options(keep_quantised=True, bits=bits, group=16)
        job = plan(open_source(str(path)), options, TEXT, tokens=400)
        assert job.keeper is not None
        scattered = job.keeper.reasons.keys() - {"lm_head"}
        manifest = job.run(tmp_path / f"m{bits}")
        errors.append([e.error for e in manifest.layers if e.name in scattered])
        shutil.rmtree(path)
    assert len(errors[0]) == 2
    assert all(0 < eight < four / 4 < 0.1 for four, eight in zip(*errors, strict=True))


def test_a_model_that_is_not_quantised(llama):
    with pytest.raises(CompressError, match="the model is not quantised; leave out --keep-quant"):
        plan(llama, KEEP, TEXT, tokens=400)


def test_a_model_of_which_nothing_can_be_taken_over(quantised_folder):
    path, _ = quantised_folder(gptq(order=3), GPTQ)
    with pytest.raises(CompressError, match=r"no layer can be taken over .* activation order"):
        plan(open_source(str(path)), KEEP, TEXT, tokens=400)


def test_without_the_option_it_is_compressed_like_any_other(quantised_folder, tmp_path):
    path, _ = quantised_folder(gptq(order=3), GPTQ)
    manifest = plan(open_source(str(path)), Options(bits=3), TEXT, tokens=400).run(tmp_path / "m")
    assert "kept" not in manifest.options
    assert {e.summands for e in manifest.layers} == {(DenseEntry(bits=b),) for b in (3, 8)}


def test_the_command_says_what_it_takes_over(quantised_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path, _ = quantised_folder(packed(), PACKED)
    args = ["compress", str(path), "-o", str(tmp_path / "m"), "--calibration-tokens", "400"]
    assert main([*args, "--keep-quantised"]) == 0
    out = capsys.readouterr().out
    assert "Quantised by compressed-tensors" in out
    assert "4 bits" in out
    assert "not quantised in the compressed-tensors checkpoint" in out


def test_rows_in_another_order_are_found():
    rng = np.random.default_rng(0)
    stored = rng.normal(size=(20, 6)).astype(np.float32)
    order = rng.permutation(20)
    found = find_rows(stored[order], stored)
    assert found is not None
    assert found.tolist() == order.tolist()
    assert find_rows(stored[order] + np.float32(1), stored) is None
    assert find_rows(stored[:, :5], stored) is None
    same = find_rows(stored, stored)
    assert same is not None
    assert same.tolist() == list(range(20))


@pytest.mark.model
def test_a_gguf_file_is_taken_over(tmp_path):
    """Its queries and keys are in another order than the model's."""
    from summand.compress.importers import Keeper

    source = open_source("smollm2")
    names = [f"model.layers.2.self_attn.{p}_proj" for p in "qkv"] + ["lm_head"]
    bits: dict[str, Any] = {"act_bits": 8, "scale_bits": 6, "acc_bits": 32}
    keeper = Keeper.of(source.quantised, source.module, names, **bits)
    assert keeper.kinds == dict.fromkeys(names[:3], "Q4_1") | {"lm_head": "Q8_0"}
    sample = torch.randn(64, 576, generator=torch.Generator().manual_seed(0))
    layer = keeper.take(source.module, names[0], sample)
    weight = linear(source.module, names[0]).T
    assert np.linalg.norm(layer.matrix() - weight) < 0.06 * np.linalg.norm(weight)
    assert keeper.fidelity(source.module, layer).matrix_error < 0.06
