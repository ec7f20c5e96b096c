"""A tiny Llama from source to folder, and from folder to figures."""

import math
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
    evaluation_text,
    load_integer,
    open_source,
    plan,
    windows,
)
from summand.compress.twin.integer import IntegerLinear
from summand.model import SummandModel
from summand.model.host import load_tokenizer
from summand.summands.dense import DenseEntry


@pytest.fixture(scope="module")
def rows(llama):
    return windows(llama.tokenizer, evaluation_text(), tokens=300, window=64)


@pytest.fixture(scope="module")
def compress(llama, tmp_path_factory):
    """Returns a folder with the tiny Llama compressed."""

    def run(**options) -> SummandModel:
        path = tmp_path_factory.mktemp("models") / "m"
        plan(llama, Options(**options), calibration_text(), tokens=1000).run(path)
        return SummandModel(path)

    return run


@pytest.fixture(scope="module")
def model(compress) -> SummandModel:
    return compress(rank=4, rank_bits=8)


def test_the_manifest_says_what_was_done(llama, model):
    manifest = model.manifest
    assert manifest.source == llama.record
    assert manifest.options["rank"] == 4
    assert manifest.options["calibration"]["tokens"] == 1000
    assert len(manifest.layers) == 15
    assert ["model.embed_tokens", "Embedding"] in [[e.name, e.kind] for e in manifest.host]
    assert model.entry("lm_head").summands == (DenseEntry(bits=8),)
    assert all(e.error is not None and 0 < e.error < 0.5 for e in manifest.layers)


def test_the_integer_model_computes_every_layer_as_defined(model):
    """Each layer's output in the running model is that of the NumPy reference, bit for bit."""
    module = load_integer(model)
    seen = {}
    for name in model.names:
        linear = module.get_submodule(name)
        assert isinstance(linear, IntegerLinear)
        linear.register_forward_hook(
            lambda _, args, y, name=name: seen.update({name: (args[0], y)})
        )
    with torch.no_grad():
        module(torch.arange(20)[None])
    for layer in model.layers():
        x, y = (t[0].numpy() for t in seen[layer.name])
        np.testing.assert_array_equal(layer.forward(x), y)


def test_the_tokenizer_comes_along(llama, model):
    text = "def f(x): return x"
    assert load_tokenizer(model)(text)["input_ids"] == llama.tokenizer(text)["input_ids"]


def test_more_bits_are_nearer_the_source(llama, rows, compress):
    found = [
        evaluate(load_integer(compress(bits=b, act_bits=10)), rows, reference=llama.module)
        for b in (2, 4, 8)
    ]
    divergence = [e.kl_divergence or 0 for e in found]
    agreement = [e.top1_agreement or 0 for e in found]
    assert divergence == sorted(divergence, reverse=True)
    assert agreement == sorted(agreement)
    assert divergence[-1] < 0.01


def test_a_model_that_looks_ahead_has_no_perplexity(llama, rows):
    """Whatever its class: its prediction of a token depends on the next one."""

    class Ahead(nn.Module):
        def forward(self, input_ids):
            out: Any = llama.module(input_ids=input_ids)
            out.logits = out.logits + 0.01 * out.logits.roll(-1, dims=1)
            return out

    with pytest.raises(CompressError, match="Ahead looks at the tokens behind the one that it"):
        evaluate(Ahead(), rows)
    assert evaluate(llama.module, rows).perplexity > 1


def test_figures_are_what_they_are_called(llama, rows):
    class Noisy(nn.Module):
        def forward(self, input_ids):
            out: Any = llama.module(input_ids=input_ids)
            g = torch.Generator().manual_seed(input_ids.shape[1])
            out.logits = out.logits + torch.randn(out.logits.shape, generator=g)
            return out

    other = Noisy()
    result = evaluate(other, rows, reference=llama.module)
    p, q, targets = [], [], []
    with torch.no_grad():
        for ids in rows:
            p.append(llama.module(input_ids=ids).logits[0, :-1].double().log_softmax(-1))
            q.append(other(ids).logits[0, :-1].double().log_softmax(-1))
            targets.append(ids[0, 1:])
    logp, logq, target = torch.cat(p), torch.cat(q), torch.cat(targets)
    index = torch.arange(len(target))
    assert result.tokens == len(target) == 300 - len(rows)
    assert result.perplexity == pytest.approx(math.exp(-logq[index, target].mean()), rel=1e-5)
    want = math.exp(-logp[index, target].mean())
    assert result.reference_perplexity == pytest.approx(want, rel=1e-5)
    divergence = (logp.exp() * (logp - logq)).sum(-1).mean()
    assert result.kl_divergence == pytest.approx(float(divergence), rel=1e-4)
    agreed = (logp.argmax(-1) == logq.argmax(-1)).double().mean()
    assert result.top1_agreement == pytest.approx(float(agreed))


def test_a_model_is_no_distance_from_itself(llama, rows):
    result = evaluate(llama.module, rows, reference=llama.module)
    assert result.kl_divergence == 0
    assert result.top1_agreement == 1
    assert result.perplexity == result.reference_perplexity


def test_without_reference_there_is_perplexity(llama, rows):
    result = evaluate(llama.module, rows)
    assert result.perplexity > 1
    assert result.reference_perplexity is result.kl_divergence is result.top1_agreement is None


def test_models_that_predict_nothing_are_refused(rows):
    class Encoder(nn.Module):
        def forward(self, input_ids):
            return input_ids

    with pytest.raises(CompressError, match="Encoder predicts no tokens"):
        evaluate(Encoder(), rows)


def test_predictions_must_be_finite(llama, rows):
    class Broken(nn.Module):
        def forward(self, input_ids):
            out: Any = llama.module(input_ids=input_ids)
            out.logits = out.logits * float("nan")
            return out

    with pytest.raises(CompressError, match="not finite"):
        evaluate(Broken(), rows)


def test_weights_that_are_not_finite_leave_nothing_behind(llama_folder, tmp_path):
    source = open_source(str(llama_folder))
    linear = source.module.get_submodule("model.layers.1.mlp.up_proj")
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight[0, 0] = float("nan")
    job = plan(source, Options(), calibration_text(), tokens=100)
    with pytest.raises(CompressError, match=r"layer 'model\.layers\.1\.mlp\.up_proj'"):
        job.run(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_models_that_take_no_text_are_refused(llama):
    source = ModelSource(nn.Sequential(nn.Linear(4, 4)), llama.tokenizer, {})
    with pytest.raises(CompressError, match="cannot be called with token ids"):
        plan(source, Options(), calibration_text(), tokens=100)
