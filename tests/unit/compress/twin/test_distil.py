"""Distillation of a tiny Llama: what it may change, and figures that it must not make worse."""

import copy
import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from summand.compress import (
    CompressError,
    ModelSource,
    Options,
    calibration_text,
    evaluate,
    load_integer,
    plan,
)
from summand.compress.job import finishing
from summand.compress.job.allocated import allocated
from summand.compress.job.budget import BitBudget
from summand.compress.network.blocks import find_blocks
from summand.compress.twin.distil import distil
from summand.compress.twin.fake import TrainedLinear
from summand.model import ModelWriter, SummandModel

from .conftest import differing

POOR = Options(bits=2, head_bits=3, rank=3, rank_bits=3)


@pytest.fixture(scope="module")
def compress(llama, tmp_path_factory):
    """Return a function that compresses the tiny Llama; it gives the job and the model."""

    def run(**options):
        path = tmp_path_factory.mktemp("models") / "m"
        job = plan(llama, dataclasses.replace(POOR, **options), calibration_text(), tokens=1000)
        job.run(path)
        return job, SummandModel(path)

    return run


@pytest.fixture(scope="module")
def poor(compress):
    return compress()


@pytest.fixture(scope="module")
def distilled(compress):
    return compress(distil=25)


def held_out(job):
    """Return every eighth row."""
    return job.batches[7::8]


def test_it_is_nearer_on_text_that_it_was_not_trained_on(distilled):
    job, model = distilled
    done = model.manifest.options["distillation"]
    assert done["steps"] == 25
    assert done["kept"] in (13, 25)
    assert done["tokens"] == sum(row.numel() for row in held_out(job)) > 64
    assert done["kl_after"] < 0.99 * done["kl_before"]


def test_figures_are_those_of_the_folders(llama, poor, distilled):
    """The stored model predicts the same as the trained one, up to the rounding of sums."""
    done = distilled[1].manifest.options["distillation"]
    for (job, model), name in ((poor, "kl_before"), (distilled, "kl_after")):
        rows = [torch.cat([row, row[:, -1:]], dim=1) for row in held_out(job)]
        found = evaluate(load_integer(model), rows, reference=llama.module)
        assert found.tokens == done["tokens"]
        assert found.kl_divergence == pytest.approx(done[name], rel=1e-5)


def test_integers_stay(poor, distilled):
    changed = 0
    for before, after in zip(poor[1].layers(), distilled[1].layers(), strict=True):
        assert (before.bits, before.acc_bits) == (after.bits, after.acc_bits)
        for old, new in zip(before.summands, after.summands, strict=True):
            assert differing(old, new) <= {"mult"}
        changed += not np.array_equal(before.scale, after.scale)
        assert (after.bias is None) == (after.name == "lm_head")
    assert changed == len(poor[1].names) - 1


def test_the_head_stays_as_it_is(poor, distilled):
    before, after = (model.layer("lm_head") for _, model in (poor, distilled))
    np.testing.assert_array_equal(before.scale, after.scale)
    assert poor[1].entry("lm_head") == distilled[1].entry("lm_head")


def test_errors_are_those_of_what_is_stored(llama, poor, distilled):
    before, after = (model.manifest.layers for _, model in (poor, distilled))
    assert all(e.error is not None and 0 < e.error < 1 for e in after)
    assert [e.error for e in before] != [e.error for e in after]


def test_without_it_nothing_is_said(poor):
    assert poor[1].manifest.options["distil"] == 0
    assert "distillation" not in poor[1].manifest.options


def test_the_source_is_left_as_it_is(llama, poor, distilled):
    assert all(p.requires_grad for p in llama.module.parameters())
    assert llama.module.config.use_cache is True
    assert all("forward" not in vars(block) for block in llama.module.model.layers)
    for name in distilled[1].names:
        assert type(llama.module.get_submodule(name)) is nn.Linear


def test_blocks_are_worked_out_again_to_the_same(llama, poor):
    job, model = poor
    blocks = find_blocks(llama.module, job.survey, {"input_ids": job.batches[0][:, :16]})
    assert blocks is not None
    found = []
    for stages in (None, blocks):
        layers = {layer.name: TrainedLinear(layer) for layer in model.layers()}
        done = distil(llama.module, job.batches, layers, steps=4, blocks=stages)
        found.append((done, [p.detach() for t in layers.values() for p in t.parameters()]))
    assert found[0][0] == found[1][0]
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert torch.equal(a, b)


def test_the_start_is_kept_if_nothing_is_better(llama, poor):
    job, model = poor
    layers = {layer.name: TrainedLinear(layer) for layer in model.layers()}
    done = distil(llama.module, job.batches, layers, steps=3, rate=5.0)
    assert done.kept == 0
    assert done.kl_after == done.kl_before
    for layer in model.layers():
        after = layers[layer.name].trained(layer)
        np.testing.assert_array_equal(after.scale, layer.scale)
        for old, new in zip(layer.summands, after.summands, strict=True):
            assert differing(old, new) == set()


def test_equal_runs_give_equal_models(compress, distilled):
    _, model = compress(distil=25)
    ours, theirs = ((m.path / "layers.safetensors").read_bytes() for m in (model, distilled[1]))
    assert ours == theirs


def test_layers_compressed_in_order_are_distilled_too(llama, tmp_path):
    options = Options(bits=2, group=16, sequential=True, distil=5)
    plan(llama, options, calibration_text(), tokens=1000).run(tmp_path / "m")
    done = SummandModel(tmp_path / "m").manifest.options["distillation"]
    assert done["kl_after"] <= done["kl_before"]


def test_an_interrupted_one_is_done_again(llama, distilled, tmp_path, monkeypatch):
    options = dataclasses.replace(POOR, distil=25)
    job = plan(llama, options, calibration_text(), tokens=1000)
    revise, count = ModelWriter.revise, 0

    def broken(self, layer, **kwargs):
        nonlocal count
        count += 1
        if count == 5:
            raise OSError(28, "No space left on device")
        return revise(self, layer, **kwargs)

    monkeypatch.setattr(ModelWriter, "revise", broken)
    with pytest.raises(Exception, match="No space left on device; 15 finished layers are kept"):
        job.run(tmp_path / "m")
    monkeypatch.setattr(ModelWriter, "revise", revise)
    less = dataclasses.replace(job, options=dataclasses.replace(options, distil=24))
    with pytest.raises(Exception, match="interrupted job with options distil 25, not 24"):
        less.run(tmp_path / "m")
    manifest = job.run(tmp_path / "m")
    assert manifest == distilled[1].manifest
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_too_little_memory_is_told(llama, tmp_path, monkeypatch):
    def distil(*_, **__):
        raise MemoryError

    monkeypatch.setattr(finishing, "distil", distil)
    job = plan(llama, Options(solver="rtn", distil=1), calibration_text(), tokens=300)
    with pytest.raises(CompressError, match="out of memory while distilling"):
        job.run(tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == [".m.partial"]


def test_what_a_target_chose_is_distilled_too(llama, tmp_path):
    source = dataclasses.replace(llama, module=copy.deepcopy(llama.module))
    job = plan(source, Options(group=16, distil=3), calibration_text(), tokens=300)
    manifest = allocated(job, BitBudget(bits=3.0), ["group"]).run(tmp_path / "m")
    assert manifest.options["distillation"]["steps"] == 3


def test_encoders_are_refused_before_any_work(llama):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(256, 8)
            self.linear = nn.Linear(8, 8)

        def forward(self, input_ids):
            return self.linear(self.embed(input_ids))

    source: Any = ModelSource(Encoder(), llama.tokenizer, {})
    with pytest.raises(CompressError, match=r"Encoder predicts no tokens; .* leave it out"):
        plan(source, Options(distil=5), calibration_text(), tokens=100)


def test_a_head_alone_is_refused(llama):
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(256, 8)
            self.lm_head = nn.Linear(8, 256)

        def get_output_embeddings(self):
            return self.lm_head

        def forward(self, input_ids):
            return SimpleNamespace(logits=self.lm_head(self.embed(input_ids)))

    source: Any = ModelSource(Head(), llama.tokenizer, {})
    with pytest.raises(CompressError, match="no layer but the head is compressed"):
        plan(source, Options(distil=5), calibration_text(), tokens=100)


def test_text_for_one_row_is_refused(llama):
    with pytest.raises(CompressError, match="another to hold out; give more text"):
        plan(llama, Options(distil=5), calibration_text(), tokens=64)
