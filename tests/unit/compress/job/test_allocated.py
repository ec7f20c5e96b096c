import copy
import itertools
from dataclasses import replace

import pytest
import torch

from summand.compress import Options, Text, plan
from summand.compress.allocate.parts import Cut
from summand.compress.calibrate.statistics import StatisticsInMemory
from summand.compress.evaluation.evaluate import load_integer
from summand.compress.job.allocated import allocated
from summand.compress.job.budget import BitBudget
from summand.compress.twin.integer import IntegerLinear
from summand.isa import EngineConfig
from summand.model import SummandModel
from summand.runtime import Driver, GoldenDevice
from summand.runtime.load import load_model

from .conftest import dense, rank


def test_the_model_is_calibrated_once(llama, tmp_path):
    source = replace(llama, module=copy.deepcopy(llama.module))
    job = plan(source, Options(group=16), Text("t", "once upon a time " * 40), tokens=200)
    seen = []

    def note(what, i, n):
        seen.append(what)

    job = allocated(job, BitBudget(bits=4.5), ("group",), progress=note)
    assert "calibrating" in seen
    seen.clear()
    job.run(tmp_path / "once", progress=note)
    assert set(seen) == {"compressing"}
    job.run(tmp_path / "twice", statistics=StatisticsInMemory(), progress=note)
    assert "calibrating" in seen
    once, twice = (tmp_path / name / "layers.safetensors" for name in ("once", "twice"))
    assert once.read_bytes() == twice.read_bytes()


def test_parts_of_a_large_head_are_allocated_bits_of_their_own(llama, tmp_path, monkeypatch):
    """The text's bytes are in two of the head's four parts; the model is read as it was written."""
    monkeypatch.setattr("summand.compress.allocate.parts._LARGE_HEAD", 256)
    monkeypatch.setattr("summand.compress.allocate.parts._HEAD_PARTS", 4)
    monkeypatch.setattr("summand.compress.allocate.parts._GROUP_PARTS", 1)
    text, options = Text("t", "once upon a time " * 40), Options(group=16)
    source = replace(llama, module=copy.deepcopy(llama.module))
    job = plan(source, options, text, tokens=200)
    assert job.survey.groups[-1] == ("lm_head",)
    job = allocated(job, BitBudget(bits=4.0), ("group", "rank"))
    parts = job.survey.groups[-1]
    assert parts == tuple(f"lm_head.{i}" for i in range(len(parts)))
    manifest = job.run(tmp_path / "m")
    assert manifest.split == ("lm_head",)
    outputs = [e.out_features for e in manifest.layers[-len(parts) :]]
    assert sum(outputs) == 256
    assert all(n % 64 == 0 for n in outputs)
    bits = [dense(job.choices[name]).bits for name in parts]
    assert len(bits) > 1
    assert all(a != b for a, b in itertools.pairwise(bits))  # parts of equal bits are one
    assert all(rank(job.choices[name]) == 0 for name in parts)

    model = SummandModel(tmp_path / "m")
    whole, ids = llama.module, job.batches[0]
    loaded = load_integer(model)
    with torch.no_grad():
        hidden = loaded.get_submodule("model")(ids).last_hidden_state
        each = [IntegerLinear(model.layer(name))(hidden) for name in parts]
        assert torch.equal(loaded(ids).logits, torch.cat(each, dim=-1))
        engine = Driver(GoldenDevice(EngineConfig(depth=16, stream_bits=64, scale_bits=6)))
        run = load_model(model, engine)
        assert len(run.groups[-1].layers) == len(parts)
        assert torch.equal(run.model(ids).logits, loaded(ids).logits)
        away = (loaded(ids).logits - whole(ids).logits).norm() / whole(ids).logits.norm()
    assert away < 0.5


def test_a_small_head_stays_whole(llama):
    text = Text("t", "once upon a time " * 40)
    source = replace(llama, module=copy.deepcopy(llama.module))
    job = plan(source, Options(group=16), text, tokens=200)
    job = allocated(job, BitBudget(bits=4.5), ("group",))
    assert "lm_head" not in job.cuts
    assert job.survey.groups[-1] == ("lm_head",)


@pytest.mark.parametrize("sensitivity", ["fisher", "differences"])
def test_outputs_that_matter_more_get_more(llama, tmp_path, monkeypatch, sensitivity):
    """Layers are cut by gradients only, which tell outputs apart."""
    monkeypatch.setattr("summand.compress.allocate.parts._WHOLE", 16)
    text, options = Text("t", "once upon a time " * 40), Options(group=16)
    source = replace(llama, module=copy.deepcopy(llama.module))
    name = "model.layers.0.mlp.up_proj"
    with torch.no_grad():
        source.module.get_submodule(name).weight[1::2] *= 0.02
    want = copy.deepcopy(source.module)
    job = plan(source, options, text, tokens=200)
    target = BitBudget(bits=4.0, sensitivity=sensitivity)
    job = allocated(job, target, ("group", "rank"))
    assert (name in job.cuts) == (sensitivity == "fisher")
    manifest = job.run(tmp_path / "m")
    assert manifest.split == tuple(job.cuts)
    model = SummandModel(tmp_path / "m")
    assert list(model.output_orders) == sorted(job.cuts)
    if sensitivity == "differences":
        return
    parts = [n for n in model.names if n.startswith(f"{name}.")]
    bits = [dense(job.choices[part]).bits for part in parts]
    assert bits == sorted(set(bits), reverse=True)
    assert len(bits) > 1
    assert (model.output_orders[name][: len(model.output_orders[name]) // 2] % 2 == 0).all()

    ids = job.batches[0]
    loaded = load_integer(model)
    engine = Driver(GoldenDevice(EngineConfig(depth=16, stream_bits=64, scale_bits=6)))
    run = load_model(model, engine)
    with torch.no_grad():
        assert torch.equal(run.model(ids).logits, loaded(ids).logits)
        away = (loaded(ids).logits - want(ids).logits).norm() / want(ids).logits.norm()
    assert away < 0.5


def test_a_layer_is_not_cut_below_a_rank_that_is_fixed(llama, monkeypatch):
    """Outputs of all parts are fewer than the rank, which the whole layer can have."""
    monkeypatch.setattr("summand.compress.allocate.parts._WHOLE", 16)
    source = replace(llama, module=copy.deepcopy(llama.module))
    options = Options(group=16, rank=20)
    job = plan(source, options, Text("t", "once upon a time " * 40), tokens=200)
    job = allocated(job, BitBudget(bits=7.5), ("group", "rank"))
    ranked = [name for name, choice in job.choices.items() if rank(choice)]
    assert {rank(job.choices[name]) for name in ranked} == {20}
    assert all(len(source.module.get_submodule(name).weight) >= 20 for name in ranked)


def test_another_cut_is_another_job(llama, tmp_path):
    """An interrupted compression does not go on with parts of other outputs."""
    job = plan(llama, Options(group=16), Text("t", "once upon a time " * 40), tokens=200)
    described = [
        replace(job, cuts={"a": Cut((2, 1), order)}).description
        for order in (None, torch.tensor([2, 0, 1]), torch.tensor([1, 0, 2]))
    ]
    assert len({str(each["parts"]) for each in described}) == 3
