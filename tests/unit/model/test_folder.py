import dataclasses
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from summand.model import (
    ChannelGroups,
    HostEntry,
    ModelError,
    ModelWriter,
    SummandModel,
    Transform,
    check_destination,
)
from summand.model.manifest import Manifest, seal
from summand.model.transform import same_transform

from .grouped import grouped


def write(path: Path, layers, **finish):
    with ModelWriter(path) as writer:
        for layer in layers:
            writer.add(layer, error=0.5)
        fields = {
            "groups": [[layer.name] for layer in layers],
            "source": {"kind": "test"},
            "options": {"bits": 4},
        }
        return writer.finish(**{**fields, **finish})


@pytest.fixture
def folder(tmp_path, make_layer) -> Path:
    write(tmp_path / "model", [make_layer(1)])
    return tmp_path / "model"


def edit_manifest(folder: Path, change) -> None:
    """Change the manifest and seal it again, as another program might write it."""
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    raw.pop("checksum")
    change(raw)
    path.write_text(json.dumps({**raw, "checksum": seal(raw)}))


def same(a, b):
    if a is None or isinstance(a, str | int):
        return a == b
    if isinstance(a, Transform):
        return same_transform(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@settings(suppress_health_check=[HealthCheck.differing_executors], max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([None, 1, 2, 3, 5, 8]),
    rank=st.integers(0, 3),
    factor_bits=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    bias=st.booleans(),
    group=st.sampled_from([0, 2, 4]),
    half_step=st.booleans(),
    balance=st.booleans(),
    rotation=st.none() | st.integers(0, 2**32 - 1) | grouped(9),
)
def test_layers_survive(
    tmp_path_factory,
    make_layer,
    seed,
    bits,
    rank,
    factor_bits,
    bias,
    group,
    half_step,
    balance,
    rotation,
):
    if bits is None and not rank:
        return
    a_bits, b_bits = factor_bits
    layer = make_layer(
        seed,
        k=9,
        n=6,
        bits=bits,
        rank=rank,
        a_bits=a_bits,
        b_bits=b_bits,
        bias=bias,
        group=group,
        half_step=half_step,
    )
    if balance or rotation is not None:
        c = np.random.default_rng(seed).uniform(0.1, 9, 9).astype(np.float32)
        groups = rotation if isinstance(rotation, ChannelGroups) else None
        seed = None if isinstance(rotation, ChannelGroups) else rotation
        transform = Transform(9, c if balance else None, seed, groups)
        layer = dataclasses.replace(layer, transform=transform)
    path = tmp_path_factory.mktemp("m") / "model"
    write(path, [layer])
    model = SummandModel(path)
    assert same(layer, model.layer(layer.name))
    entry = model.entry(layer.name)
    assert (entry.bits, entry.acc_bits) == (layer.bits, layer.acc_bits)


def test_everything_else_survives(tmp_path, make_layer):
    layers = [make_layer(i) for i in range(3)]
    for i, layer in enumerate(layers):
        object.__setattr__(layer, "name", f"block.{i}")
    host = HostEntry(name="norm", kind="LayerNorm", reason="works element by element", parameters=4)
    groups = [["block.0", "block.2"], ["block.1"]]
    written = write(tmp_path / "m", layers, groups=groups, host=[host], aliases={"a": "b"})
    model = SummandModel(tmp_path / "m")
    assert model.manifest == written
    assert model.names == ("block.0", "block.1", "block.2")
    assert model.groups == (("block.0", "block.2"), ("block.1",))
    assert [layer.name for layer in model.layers()] == list(model.names)
    assert model.manifest.host == (host,)


def test_equal_models_are_equal_bytes(tmp_path, make_layer):
    for name in "ab":
        write(tmp_path / name, [make_layer(1)])
    for file in ("manifest.json", "layers.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_weights_take_their_bits_on_disk(tmp_path, make_layer):
    write(tmp_path / "m", [make_layer(1, k=256, n=512, bits=3, rank=0)])
    size = (tmp_path / "m" / "layers.safetensors").stat().st_size
    assert size < 256 * 512 * 3 / 8 + 512 * 8 + 1000


def test_a_failure_leaves_nothing_behind(tmp_path, make_layer):
    def fail():
        with ModelWriter(tmp_path / "m") as writer:
            writer.add(make_layer(1))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError, SafetensorError])
def test_a_full_disk_is_told(tmp_path, make_layer, monkeypatch, error):
    def full(*_):
        raise error("No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(ModelError, match=r"cannot write .*m: .*No space left"):
        write(tmp_path / "m", [make_layer(1)])
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_replaced_whole(tmp_path, make_layer):
    write(tmp_path / "m", [make_layer(1)])
    (tmp_path / "m" / "left.over").write_text("old")
    write(tmp_path / "m", [make_layer(2, bits=8)])
    assert SummandModel(tmp_path / "m").entry("block.linear").label.startswith("dense 8 bits")
    assert not (tmp_path / "m" / "left.over").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_model_comes_back_when_its_successor_cannot_take_its_place(
    folder, make_layer, monkeypatch
):
    before = (folder / "manifest.json").read_bytes()
    rename = Path.rename

    def fail(self, target):
        if target == folder and self.name != "replaced":
            raise OSError("no room")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ModelError, match="cannot write .*no room"):
        write(folder, [make_layer(2)])
    assert (folder / "manifest.json").read_bytes() == before
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_damaged_model_may_be_replaced(folder, make_layer):
    edit_manifest(folder, lambda raw: raw.update(version=99))
    write(folder, [make_layer(3)])
    SummandModel(folder)


def test_a_folder_of_something_else_is_kept(tmp_path, make_layer):
    (tmp_path / "precious.txt").write_text("work of years")
    with pytest.raises(ModelError, match=r"no Summand model, and is left as it is"):
        write(tmp_path, [make_layer(1)])
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_a_place_that_cannot_be_named_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"a\\udcff' must be a name in UTF-8"):
        check_destination(tmp_path / "a\udcff")


def test_a_file_is_kept(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(ModelError, match="is not a folder"):
        check_destination(tmp_path / "f")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(ModelError, match=r"cannot write .*f/m"):
        ModelWriter(tmp_path / "f" / "m").__enter__()


def test_no_folder(tmp_path):
    with pytest.raises(ModelError, match="is not a folder"):
        SummandModel(tmp_path / "none")
    with pytest.raises(ModelError, match=r"has no manifest\.json; it is no Summand model"):
        SummandModel(tmp_path)


@pytest.mark.parametrize("name", ["layers.safetensors", "host.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"cannot read .*{name}: No such file.*compress the model"):
        SummandModel(folder)


def test_a_truncated_file_is_named(folder):
    path = folder / "layers.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ModelError, match=r"layers\.safetensors must be \d+ bytes, not \d+; copy"):
        SummandModel(folder, verify=False)


def test_a_flipped_bit_is_found(folder):
    path = folder / "layers.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelError, match=r"layers\.safetensors does not match its checksum"):
        SummandModel(folder)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_damage_is_never_more_than_a_model_error(folder, place, change):
    """Without checksums damage may go unnoticed; if noticed, it is a ModelError."""
    path = folder / "layers.safetensors"
    good = path.read_bytes()
    raw = bytearray(good)
    raw[place % len(raw)] ^= change
    path.write_bytes(raw)
    try:
        SummandModel(folder, verify=False).layer("block.linear")
    except ModelError as e:
        assert "layers.safetensors" in str(e)  # noqa: PT017  # sometimes there is none
    finally:
        path.write_bytes(good)


def test_a_changed_manifest_is_found(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"acc_shift": 4', '"acc_shift": 3'))
    with pytest.raises(ModelError, match=r"manifest\.json: checksum does not match"):
        SummandModel(folder)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"{", "not JSON"),
        (b"[]", "no Summand model"),
        (b'{"format": "other"}', "format must be 'summand-model'"),
        (b"\xff\xfe", "cannot read"),
        (b"", "not JSON"),
    ],
)
def test_what_is_no_manifest(folder, text, match):
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(ModelError, match=match):
        SummandModel(folder)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda raw: raw.update(version=10), "newer Summand; this one reads 9: upgrade"),
        (
            lambda raw: raw.update(version=7),
            "older Summand; .* 9: compress .* summand comp",
        ),
        (lambda raw: raw.update(version="1"), "version must be a whole number"),
        (lambda raw: raw.update(extra=1), "has field extra which this version does not know"),
        (lambda raw: raw.pop("groups"), "manifest has no field groups"),
        (lambda raw: raw.update(layers={}), "manifest.layers must be a list"),
        (lambda raw: raw.update(source=[]), "manifest.source must be an object"),
        (lambda raw: raw.update(groups=[]), "groups must hold each layer exactly once"),
        (lambda raw: raw.update(split=["block"]), "split names block, whose parts are not all"),
        (lambda raw: raw.update(groups=[[1]]), r"manifest\.groups\[0\]\[0\] must be of type str"),
        (
            lambda raw: raw["layers"][0].update(act_bits="8"),
            r"manifest\.layers\[0\]\.act_bits must be of type int, not '8'",
        ),
        (
            lambda raw: raw["layers"][0].update(act_bits=True),
            r"manifest\.layers\[0\]\.act_bits must be of type int, not True",
        ),
        (lambda raw: raw["files"].pop("layers.safetensors"), "files must list layers.safetensors"),
        (
            lambda raw: raw["files"].update({"../up": {"sha256": "", "bytes": 0}}),
            r"'\.\./up' in files is no file name",
        ),
    ],
)
def test_a_manifest_of_another_kind_is_refused(folder, change, match):
    edit_manifest(folder, change)
    with pytest.raises(ModelError, match=match) as caught:
        SummandModel(folder)
    assert str(folder / "manifest.json") in str(caught.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda raw: raw.update(in_features=8), r"tensor block\.linear\.0\.weights"),
        (lambda raw: raw["summands"][0].update(bits=5), r"tensor block\.linear\.0\.weights"),
        (lambda raw: raw["summands"][1].update(rank=3), r"tensor block\.linear\.1\.a"),
        (lambda raw: raw["summands"].reverse(), r"tensor block\.linear\.0\.a"),
        (lambda raw: raw["summands"][1].update(acc_shift=9), "acc_shift must be 0 to 8, not 9"),
        (
            lambda raw: raw["summands"][1].update(kind="sparse"),
            "kind must be dense, outliers, low_rank, not",
        ),
        (lambda raw: raw["summands"][0].pop("bits"), r"summands\[0\] has no field bits"),
    ],
)
def test_a_manifest_that_does_not_fit_the_tensors(folder, change, match):
    edit_manifest(folder, lambda raw: change(raw["layers"][0]))
    with pytest.raises(ModelError, match=match):
        SummandModel(folder).layer("block.linear")


def test_an_unknown_layer_is_named(folder):
    with pytest.raises(ModelError, match="has no layer 'block.other'"):
        SummandModel(folder).layer("block.other")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.sampled_from(
        ["source", "options", "layers", "groups", "split", "decompositions", "host", "aliases"]
        + ["files"]
    ),
    json_values,
)
def test_no_manifest_makes_another_error(field, value):
    raw = {"format": "summand-model", "version": 9, "source": {}, "options": {}, "layers": []}
    raw |= {"groups": [], "split": [], "host": [], "aliases": {}, "files": {}}
    raw |= {"decompositions": [], field: value}
    try:
        Manifest.from_json(json.dumps({**raw, "checksum": seal(raw)}))
    except ModelError as e:
        assert field in str(e)  # noqa: PT017  # some values are good
