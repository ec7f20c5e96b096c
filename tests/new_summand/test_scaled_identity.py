"""A summand is a room: one of which the package knows nothing goes all the way."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from summand.cli import main
from summand.compress import CompressError, compress_layers, survey
from summand.compress.allocate.candidates import Space
from summand.compress.job.budget import BitBudget
from summand.compress.job.choose import choose
from summand.compress.twin.fake import TrainedLinear
from summand.compress.twin.integer import IntegerLinear
from summand.isa import EngineConfig
from summand.model import Layer, ModelError, ModelWriter, SummandModel
from summand.recipe.choice import choices_of
from summand.recipe.options import Options
from summand.report import ModelFigures, Report
from summand.report.page import page
from summand.runtime import Driver, compile_layers, open_device
from summand.summands import registry
from summand.summands.base import Summand
from summand.summands.dense import DENSE, Dense
from summand.summands.lowrank import LOW_RANK, LowRank

from .scaled_identity import SCALED_IDENTITY, IdentityChoice, IdentityOptions, ScaledIdentity

K = 40

CONFIG = EngineConfig(
    rows=2, cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=4, shift=3, scale_bits=4
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it known, before low-rank summands: what multiplies the input itself comes first."""
    monkeypatch.setattr(registry, "_KINDS", {})
    for kind in (DENSE, SCALED_IDENTITY, LOW_RANK):
        registry.register(kind)


def identity(seed: int, acc_shift: int = 0) -> ScaledIdentity:
    factors = np.random.default_rng(seed).integers(-16, 16, K).astype(np.int8)
    return ScaledIdentity(factors, 5, acc_shift=acc_shift)


def dense(seed: int, group: int = 0) -> Dense:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-4, 4, (K, K)).astype(np.int8)
    if not group:
        return Dense(weights, 3)
    scales = rng.integers(0, 16, (-(-K // group), K)).astype(np.uint8)
    return Dense(weights, 3, scales, 4, group)


def low_rank(seed: int) -> LowRank:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-8, 8, shape).astype(np.int8) for shape in ((K, 6), (6, K)))
    mult, shift = np.full(6, 40_000, np.uint16), np.full(6, 22, np.uint8)
    return LowRank(a, 4, b, 4, mult, shift, acc_shift=CONFIG.shift)


def layer(name: str, *summands: Summand) -> Layer:
    scale = np.linspace(0.5, 1.5, K).astype(np.float32)
    return Layer(name, K, K, 8, summands, scale)


@pytest.fixture
def layers() -> list[Layer]:
    """It alone, and before and behind others."""
    return [
        layer("alone", identity(0)),
        layer("behind", dense(1), identity(2, acc_shift=CONFIG.shift)),
        layer("between", identity(3), dense(4, group=16), low_rank(5)),
    ]


@pytest.fixture
def folder(layers: list[Layer], tmp_path: Path) -> Path:
    with ModelWriter(tmp_path / "model") as writer:
        for made in layers:
            writer.add(made, error=0.25)
        groups = [[made.name for made in layers]]
        writer.finish(groups=groups, source={"kind": "test"}, options={})
    return tmp_path / "model"


def tokens(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(CONFIG.act_min, CONFIG.act_max + 1, (count, K))


def test_what_it_means(layers):
    x = tokens(5).astype(np.int64)
    alone, behind, _ = (made.accumulate(x) for made in layers)
    assert np.array_equal(alone, x * identity(0).factors)
    want = ((x @ dense(1).weights.astype(np.int64)) << CONFIG.shift) + x * identity(2).factors
    assert np.array_equal(behind, want)
    assert np.abs(behind).max() < 1 << (layers[1].acc_bits - 1)


def test_it_is_saved_and_read(layers, folder):
    raw = json.loads((folder / "manifest.json").read_text())
    last = raw["layers"][1]["summands"][-1]
    assert last == {"kind": "scaled_identity", "acc_shift": CONFIG.shift, "bits": 5}
    x = tokens(3)
    for made, read in zip(layers, SummandModel(folder).layers(), strict=True):
        assert np.array_equal(made.accumulate(x), read.accumulate(x))


def test_who_does_not_know_it_says_so(folder, monkeypatch):
    monkeypatch.delitem(registry._KINDS, "scaled_identity")
    with pytest.raises(ModelError, match="kind must be dense, low_rank, not 'scaled_identity'"):
        SummandModel(folder)


@pytest.mark.parametrize("device", ["golden", pytest.param("sim", marks=pytest.mark.sim)])
def test_engines_compute_it(layers, device):
    program = compile_layers(layers, CONFIG)
    x = tokens(5)
    with Driver(open_device(device, CONFIG)) as driver:
        outputs = driver.run(program, x).outputs
    for made, acc in zip(layers, outputs, strict=True):
        assert np.array_equal(acc, made.accumulate(x))


@pytest.mark.sim
def test_the_command_line_verifies_it_on_rtl(folder, tmp_path, capsys):
    (tmp_path / "engine.json").write_text(CONFIG.to_json())
    arguments = ["--config", tmp_path / "engine.json", "--model", folder, "--json"]
    assert main(["verify", *map(str, arguments)]) == 0
    assert json.loads(capsys.readouterr().out)["exact"] is True


def test_its_twin_is_exact_and_lets_others_be_trained(layers):
    x = torch.randn(4, K, generator=torch.Generator().manual_seed(0))
    for made in layers:
        want = made.forward(x.numpy())
        assert np.array_equal(IntegerLinear(made)(x).numpy(), want)
        trained, taken = TrainedLinear(made), x.clone().requires_grad_()
        trained(taken).sum().backward()
        assert taken.grad is not None
        slope = torch.from_numpy(made.matrix().sum(axis=1)).float()
        torch.testing.assert_close(taken.grad, slope.expand_as(taken), rtol=0.05, atol=0.05)


def test_it_is_reported(folder):
    manifest = SummandModel(folder).manifest
    figures = ModelFigures.of(manifest)
    assert figures.traffic.planes > 0
    text = page(Report(name="toy", model=figures))
    assert "dense 3 bits + identity 5 bits" in text


@dataclass(frozen=True, kw_only=True)
class MoreOptions(IdentityOptions, Options):
    """Options of a package that knows it."""


class Net(nn.Module):
    """Two layers, the first of which may have an identity beside its dense summand."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.square, self.last = nn.Linear(K, K), nn.Linear(K, 24)

    def forward(self, x):
        return self.last(torch.tanh(self.square(x)))


def batches() -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    return [torch.randn(100, K, generator=g) for _ in range(3)]


def compressed(**options: Any) -> dict[str, tuple[Layer, float]]:
    module = Net()
    found = survey(module, batches()[0])
    choices = choices_of(
        MoreOptions(bits=2, rotate=False, **options), found.layers, heads=("last",)
    )
    made = compress_layers(module, batches(), found, choices)
    return {layer.name: (layer, error) for layer, error in made}


def test_compression_finds_it_and_others_on_what_it_leaves():
    alone, two, three = (
        compressed(),
        compressed(identity_bits=6),
        compressed(identity_bits=6, rank=4),
    )
    kinds = [type(summand) for summand in three["square"][0].summands]
    assert kinds == [Dense, ScaledIdentity, LowRank]
    errors = [found["square"][1] for found in (alone, two, three)]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 3
    assert len(three["last"][0].summands) == 1


def test_a_layer_that_cannot_have_it_is_named():
    module = Net()
    found = survey(module, batches()[0])
    choices = choices_of(MoreOptions(identity_bits=6), found.layers)
    with pytest.raises(CompressError, match="has 40 outputs, not 24: layer 'last' is 24 x 40"):
        list(compress_layers(module, batches(), found, choices))


def test_it_is_allocated():
    module = Net()
    found = survey(module, batches()[0])
    space = Space.of(MoreOptions(group=8), ("group", "rank"))
    target = BitBudget(bits=6.0)
    got = choose(module, batches(), found, space, target, heads=("last",)).choices
    tried = space.choices(K, K, head=False)
    assert {len(choice.summands) for choice in tried} == {1, 2}
    assert got["square"] in tried
    assert not any(isinstance(s, IdentityChoice) for s in got["last"].summands)
