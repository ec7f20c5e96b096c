from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from summand.compress import CompressError
from summand.compress.adapt import PeftFolder, add_in_float
from summand.compress.adapt.places import find_places
from summand.model import HostEntry, Layer, ModelWriter, SummandModel
from summand.summands.dense import Dense


@pytest.fixture
def base(tmp_path: Path) -> SummandModel:
    """Two blocks, an embedding on the host, and a head that was compressed in two parts."""
    rng = np.random.default_rng(0)
    outputs = {"blocks.0.up": 5, "blocks.1.up": 5, "blocks.1.down": 4, "head.0": 6, "head.1": 3}
    with ModelWriter(tmp_path / "base") as writer:
        for name, n in outputs.items():
            dense = Dense(rng.integers(-8, 8, (4, n)).astype(np.int8), 4)
            writer.add(Layer(name, 4, n, 8, (dense,), np.ones(n, np.float32)))
        embedding = HostEntry(name="embed", kind="Embedding", reason="a look-up", parameters=36)
        writer.finish(
            groups=[[name] for name in outputs],
            split=["head"],
            host=[embedding],
            source={"kind": "test"},
            options={},
        )
    return SummandModel(tmp_path / "base")


@pytest.fixture
def lora(save_lora, tmp_path):
    """Return a function that makes an adapter of modules of four inputs."""

    def make(shapes: dict[str, int], **config: object) -> PeftFolder:
        features = {name: (4, n) for name, n in shapes.items()}
        return PeftFolder(save_lora(tmp_path / "peft", features, r=2, **config))

    return make


def test_a_head_in_parts_gets_its_adapter_in_parts(base, lora):
    adapter = lora({"head": 9, "blocks.0.up": 5, "blocks.1.up": 5})
    places = find_places(adapter, base)
    assert [place.layer for place in places] == ["blocks.0.up", "blocks.1.up", "head.0", "head.1"]
    whole = adapter.factors("head").delta
    parts = [place.factors(adapter).delta for place in places[2:]]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)


def test_parts_of_an_order_get_the_adapter_of_their_outputs(base, lora, monkeypatch):
    order = np.array([8, 0, 7, 1, 6, 2, 5, 3, 4])
    monkeypatch.setattr(SummandModel, "output_orders", {"head": order})
    adapter = lora({"head": 9}, layers_to_transform=[5])
    places = find_places(adapter, base)
    whole = adapter.factors("head").delta
    parts = [place.factors(adapter).delta for place in places]
    assert [len(part) for part in parts] == [6, 3]
    torch.testing.assert_close(torch.cat(parts), whole[order], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        ({"head": 8}, "module head must map 4 features to 9 as in .*, not 4 to 8"),
        ({"head.0": 6, "blocks.7.up": 5}, "module blocks.7.up is no compressed layer of"),
        ({"embed": 9}, "module embed is no .*: it stays on the host, a look-up; train the adapter"),
        ({"blocks.1.up": 5}, "it has no factors for blocks.0.up of .*, though it adapts"),
    ],
)
def test_adapters_of_other_models(base, lora, shapes, why):
    with pytest.raises(CompressError, match=why):
        find_places(lora(shapes), base)


def test_layers_may_be_left_out_where_the_configuration_says_so(base, lora):
    adapter = lora({"blocks.1.up": 5}, layers_to_transform=[1])
    assert [place.layer for place in find_places(adapter, base)] == ["blocks.1.up"]


def test_an_adapter_in_floating_point_is_added(lora):
    factors = lora({"0": 5}, target_modules=["0"]).factors("0")
    module = nn.Sequential(nn.Linear(4, 5))
    x = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = module(x) + x @ factors.delta.T
        add_in_float(module, {"0": factors})
        torch.testing.assert_close(module(x), want)
