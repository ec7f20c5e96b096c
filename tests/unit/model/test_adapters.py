"""Adapters on disk, and the layers that they make."""

import contextlib
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from summand.model import ModelError, ModelWriter, SummandModel
from summand.model.adapters import Adapter, AdapterWriter, check_adapter_destination
from summand.model.manifest import seal
from summand.summands.errors import LayerError


def write_base(path: Path, make_layer, *, error: float = 0.5, seeds=(1, 2, 3)) -> SummandModel:
    names = []
    with ModelWriter(path) as writer:
        for seed in seeds:
            layer = dataclasses.replace(make_layer(seed, rank=seed % 2), name=f"block.{seed}")
            writer.add(layer, error=error)
            names.append(layer.name)
        writer.finish(groups=[names], source={"kind": "test"}, options={})
    return SummandModel(path)


def summand_of(make_layer, seed: int, *, acc_shift: int = 4):
    """A random low-rank summand."""
    return make_layer(seed, rank=3, acc_shift=acc_shift).summands[-1]


def write(path: Path, base: SummandModel, make_layer) -> Path:
    writer = AdapterWriter(path, base)
    writer.add(base.layer("block.3"), summand_of(make_layer, 7), error=0.25)
    writer.add(base.layer("block.2"), summand_of(make_layer, 8, acc_shift=0))
    writer.finish(source={"kind": "test"}, options={"bits": 8})
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory, make_layer) -> SummandModel:
    return write_base(tmp_path_factory.mktemp("models") / "base", make_layer)


@pytest.fixture
def folder(base, make_layer, tmp_path) -> Path:
    return write(tmp_path / "adapter", base, make_layer)


def test_what_was_added_is_read_again(base, folder, make_layer):
    adapter = Adapter(folder, base)
    assert adapter.names == ("block.2", "block.3")
    found = adapter.summands()
    for name, seed, shift in (("block.3", 7, 4), ("block.2", 8, 0)):
        want = summand_of(make_layer, seed, acc_shift=shift)
        for part in dataclasses.fields(want):
            got, kept = (getattr(each, part.name) for each in (found[name], want))
            np.testing.assert_array_equal(got, kept)
    plain, second, third = adapter.layers()
    assert len(plain.summands) == len(base.layer("block.1").summands)
    assert second.summands[-1].acc_shift == 0
    assert third.summands[-1].acc_shift == 4


def test_the_adapted_manifest_describes_the_adapted_layers(base, folder):
    adapter = Adapter(folder, base)
    assert adapter.adapted.groups == base.groups
    for layer, entry in zip(adapter.layers(), adapter.adapted.layers, strict=True):
        assert (entry.needs, entry.bits) == (layer.needs, layer.bits)


@given(seed=st.integers(0, 1 << 20), acc_shift=st.integers(0, 8), tokens=st.integers(0, 3))
def test_a_layer_with_a_summand_more_keeps_its_integers(make_layer, seed, acc_shift, tokens):
    layer = make_layer(seed, rank=seed % 3)
    added = summand_of(make_layer, seed + 1, acc_shift=acc_shift)
    adapted = layer.plus(added)
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (tokens, layer.in_features))
    alone, product = layer.accumulate(x), added.accumulate(x, layer.act_bits)
    np.testing.assert_array_equal(adapted.accumulate(x), (alone << acc_shift) + product)
    np.testing.assert_array_equal(adapted.scale * np.float32(2.0**acc_shift), layer.scale)
    assert adapted.summands[:-1] == layer.summands
    assert adapted.bias is layer.bias
    assert np.abs(adapted.accumulate(x)).max(initial=0) < 1 << (adapted.acc_bits - 1)


def test_a_unit_below_float32_is_refused(make_layer):
    layer = make_layer(1)
    tiny = dataclasses.replace(layer, scale=np.full(5, 3e-45, np.float32))
    with pytest.raises(LayerError, match=r"too small to be divided by 2\^4; give a summand with"):
        tiny.plus(summand_of(make_layer, 2))
    assert tiny.plus(summand_of(make_layer, 2, acc_shift=0)).scale[0] == tiny.scale[0]


def test_another_base_is_refused(folder, make_layer, tmp_path):
    other = write_base(tmp_path / "other", make_layer, error=0.75)
    with pytest.raises(ModelError, match="is an adapter for another model than"):
        Adapter(folder, other)


def test_damage_is_found(base, folder):
    tensors, manifest = folder / "adapter.safetensors", folder / "manifest.json"
    whole, text = tensors.read_bytes(), manifest.read_text()
    tensors.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"adapter\.safetensors does not match its checksum"):
        Adapter(folder, base)
    tensors.write_bytes(whole[:-1])
    with pytest.raises(ModelError, match=rf"must be {len(whole)} bytes, not {len(whole) - 1}"):
        Adapter(folder, base, verify=False)
    tensors.unlink()
    with pytest.raises(ModelError, match=r"cannot read .*adapter\.safetensors"):
        Adapter(folder, base)
    tensors.write_bytes(whole)
    manifest.write_text(text.replace("0.25", "0.26"))
    with pytest.raises(ModelError, match="checksum does not match: the file was changed"):
        Adapter(folder, base)
    manifest.write_text(text[:-10])
    with pytest.raises(ModelError, match=r"manifest\.json: not JSON"):
        Adapter(folder, base)
    manifest.unlink()
    with pytest.raises(ModelError, match="summand adapt writes adapters"):
        Adapter(folder, base)


def resealed(folder: Path, change) -> None:
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    raw.pop("checksum")
    change(raw)
    path.write_text(json.dumps({**raw, "checksum": seal(raw)}))


def read(folder: Path, base: SummandModel) -> None:
    adapter = Adapter(folder, base)
    assert len(adapter.adapted.layers) == len(list(adapter.layers()))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda raw: raw.update(version=2), "version must be 1"),
        (lambda raw: raw.update(format="summand-model"), "format must be 'summand-adapter'"),
        (lambda raw: raw.update(layers=[]), "layers must hold one at least"),
        (lambda raw: raw["layers"].append(raw["layers"][0]), "and each once"),
        (lambda raw: raw["layers"][0].update(name="block.9"), "has no layer 'block.9'"),
        (lambda raw: raw["layers"][0].update(acc_bits=20), "but manifest.json says 20"),
        (lambda raw: raw["layers"][0]["summand"].update(rank=4), "take .* bytes, not uint8"),
        (
            lambda raw: raw["layers"][0]["summand"].update(kind="sparse"),
            "must be dense, outliers, low_rank",
        ),
        (lambda raw: raw["files"].update({"x": raw["files"]["adapter.safetensors"]}), "files must"),
        (lambda raw: raw.update(extra=1), "has field extra which this version does not know"),
    ],
)
def test_manifests_that_say_what_is_not_so(base, folder, change, why):
    resealed(folder, change)
    with pytest.raises(ModelError, match=why):
        read(folder, base)


_STRANGE = [None, True, 0, -1, 2**31, 10**400, 0.5, "", "a/b", "\x1b[2J", [], {}, ["block.2"]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_only_a_model_error_comes_of_a_resealed_manifest(base, folder, data):
    path = folder / "manifest.json"
    good = path.read_bytes()

    def change(raw):
        layers = raw["layers"]
        at = data.draw(st.sampled_from([raw, *layers, *(e["summand"] for e in layers)]))
        at[data.draw(st.sampled_from(sorted(at)))] = data.draw(st.sampled_from(_STRANGE))

    resealed(folder, change)
    with contextlib.suppress(ModelError):
        read(folder, base)
    path.write_bytes(good)


def test_an_adapter_is_replaced_and_nothing_else_is(base, folder, make_layer, tmp_path):
    before = (folder / "manifest.json").read_text()
    writer = AdapterWriter(folder, base)
    writer.add(base.layer("block.1"), summand_of(make_layer, 9))
    assert (folder / "manifest.json").read_text() == before
    writer.finish(source={}, options={})
    assert Adapter(folder, base).names == ("block.1",)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").touch()
    for place in (tmp_path / "notes", base.path):
        with pytest.raises(ModelError, match="holds something that is no adapter"):
            AdapterWriter(place, base)
    check_adapter_destination(tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "notes"]


def test_a_failed_write_leaves_the_adapter_as_it_was(base, folder, make_layer, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    writer = AdapterWriter(folder, base)
    writer.add(base.layer("block.1"), summand_of(make_layer, 9))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("summand.model.adapters.writer.put_in_place", full)
    with pytest.raises(ModelError, match="cannot write .*No space left on device"):
        writer.finish(source={}, options={})
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
