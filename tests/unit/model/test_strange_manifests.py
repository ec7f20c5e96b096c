"""Manifests that somebody changed and sealed again: each ends in a ModelError, or in a model."""

import contextlib
import json
import math
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from summand.model import HostEntry, ModelError, ModelWriter, SummandModel, Transform, is_model
from summand.model.folder import read_layers
from summand.model.host import attach_host, write_host
from summand.model.manifest import seal

Place = tuple[str | int, ...]


class Host(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 7)
        self.head = nn.Linear(7, 5, bias=False)
        self.head.weight = self.embed.weight
        self.linear = nn.Linear(7, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_layer) -> Path:
    """A model that has something in every field of the manifest."""
    path = tmp_path_factory.mktemp("models") / "m"
    balance = np.ones(7, np.float32)
    layers = [make_layer(i, group=2) for i in range(2)]
    with ModelWriter(path) as writer:
        for i, layer in enumerate(layers):
            object.__setattr__(layer, "name", f"linear.{i}")
            object.__setattr__(layer, "transform", Transform(7, balance, 3))
            writer.add(layer, error=0.5)
        module = Host()
        aliases = write_host(module, ["linear"], writer.folder)
        writer.finish(
            groups=[[layer.name for layer in layers]],
            split=["linear"],
            host=[HostEntry(name="embed", kind="Embedding", reason="a table", parameters=35)],
            source={"kind": "folder", "path": "/nowhere", "sha256": "0" * 64},
            options={"bits": 4, "calibration": {"sha256": "0", "tokens": 1}},
            aliases=aliases,
        )
    return path


def read(folder: Path) -> None:
    """Read everything that a manifest describes from its folder."""
    model = SummandModel(folder)
    for _ in model.layers():
        pass
    module = Host()
    module.linear = nn.Linear(7, sum(e.out_features for e in model.manifest.layers[:2]))
    attach_host(module, model)


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    yield here
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*here, key))


def changed(raw: Any, place: Place, value: object, *, name: bool) -> Any:
    """Replace a value, or with ``name`` a key."""
    if not place:
        return value
    copy = raw.copy()
    if len(place) == 1 and name and isinstance(copy, dict):
        copy[value] = copy.pop(place[0])
    else:
        copy[place[0]] = changed(
            raw.get(place[0]) if isinstance(raw, dict) else raw[place[0]],
            place[1:],
            value,
            name=name,
        )
    return copy


@contextlib.contextmanager
def manifest_of(folder: Path, raw: Any) -> Iterator[None]:
    path = folder / "manifest.json"
    good = path.read_bytes()
    if isinstance(raw, dict):
        raw = {**raw, "checksum": seal(raw)}
    path.write_text(json.dumps(raw))
    try:
        yield
    finally:
        path.write_bytes(good)


NAMES = ["", ".", "..", "a/b", "/etc/passwd", "a\0b", "\udc80", "x" * 300, "\x1b[2J", "[/red]"]
NAMES += ["manifest.json", "linear", "linear.0", "linear.7", "embed.weight", "nothing.weight"]
NUMBERS = [0, -1, 1, 2, 9, 48, 255, 2**31, 2**32, 2**63, 2**64, 10**30, 10**400, -(10**30)]
VALUES = [*NAMES, *NUMBERS, None, True, [], {}, [[]], 0.5, 1e308, math.inf, math.nan, ["linear"]]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None
)
@given(data=st.data(), name=st.booleans())
def test_only_a_model_error_comes_of_a_resealed_manifest(folder, data, name):
    raw = json.loads((folder / "manifest.json").read_text())
    raw.pop("checksum")
    place = data.draw(st.sampled_from(list(places(raw))))
    value = data.draw(st.sampled_from(NAMES) if name else st.sampled_from(VALUES))
    start = time.perf_counter()
    with manifest_of(folder, changed(raw, place, value, name=name)):
        with contextlib.suppress(ModelError):
            read(folder)
    assert time.perf_counter() - start < 2


def test_a_model_without_layers_is_refused(folder):
    raw = json.loads((folder / "manifest.json").read_text())
    raw.pop("checksum")
    with manifest_of(folder, {**raw, "layers": [], "groups": [], "split": []}):
        with pytest.raises(ModelError, match=r"manifest\.json: layers must hold one at least"):
            SummandModel(folder)


def layer(field: str, value: object):
    return ("layers", 0, field), value


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ((("aliases",), {"head.weight": "nothing"}), "aliases must name tensors of host"),
        ((("aliases",), {"embed.weight": "embed.weight"}), "aliases must name tensors of host"),
        ((("groups",), [["linear.0", "linear.1"], []]), "groups must not be empty"),
        ((("options", "calibration"), 3), "options.calibration must be an object, not 3"),
        ((("options", "calibration", "tokens"), "9"), "calibration.tokens must be of type int"),
        ((("options", "distillation"), {"steps": 3}), "distillation.kept must be of type int"),
        ((("files", "a\0b"), {"sha256": "", "bytes": 0}), r"'a\\x00b' in files is no file name"),
        ((("files", "\udc80"), {"sha256": "", "bytes": 0}), "in files is no file name"),
        (
            layer("in_features", 10**30),
            r"layers\[0\]: in_features must be 1 to 2147483648, not 1000",
        ),
        (layer("out_features", 10**400), "out_features must be 1 to 2147483648"),
        (layer("in_features", 2**31), r"tensor linear\.0\.0\.weights: .* take"),
        ((("layers", 0, "summands", 0, "group"), -1), "group must be 0 to"),
        (layer("rotation", 2**32), "rotation must be 0 to 4294967295"),
        (layer("bits", 1), "linear.0 streams .* bits, but manifest.json says 1"),
        (layer("error", 10**400), r"layers\[0\]\.error must be a number that a float holds"),
        (layer("name", "\x1b[2J"), r"name must be one of a layer, not '\\x1b\[2J'"),
    ],
)
def test_what_is_wrong_is_named(folder, change, match):
    raw = json.loads((folder / "manifest.json").read_text())
    raw.pop("checksum")
    place, value = change
    with manifest_of(folder, changed(raw, place, value, name=False)):
        with pytest.raises(ModelError, match=match) as caught:
            read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[" * 2000 + "]" * 2000, "levels of brackets"),
        ("[" * 200_000, "levels of brackets"),
        ("9" * 5000, "not JSON"),
        ('{"format": "summand-model", "version": ' + "9" * 4000 + "}", "version must be a whole"),
        ('{"format": "summand-model", "version": 9, "x": ' + "[" * 101 + "]" * 101 + "}", "levels"),
    ],
)
def test_text_that_no_manifest_has(folder, tmp_path, text, match):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=match) as caught:
        SummandModel(tmp_path)
    assert len(str(caught.value)) < 400
    is_model(tmp_path)  # raises nothing either


def retyped(file: Path, name: str, dtype: str) -> None:
    """Declare another type for a tensor's bytes."""
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    entry = header[name]
    width = {"BF16": 2, "F8_E4M3": 1, "F4": 0.5, "C64": 8, "F16": 2}[dtype]
    entry["dtype"] = dtype
    first, last = entry["data_offsets"]
    entry["shape"] = [int((last - first) / width)]
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


@pytest.mark.parametrize(
    ("part", "dtype"),
    [
        ("0.weights", "F8_E4M3"),
        ("1.a", "F4"),
        ("scale", "BF16"),
        ("scale", "F16"),
        ("bias", "BF16"),
    ],
)
def test_types_that_numpy_lacks(folder, tmp_path, part, dtype):
    layers = tmp_path / "layers.safetensors"
    layers.write_bytes((folder / layers.name).read_bytes())
    retyped(layers, f"linear.0.{part}", dtype)
    entry = SummandModel(folder).entry("linear.0")
    name = re.escape(f"linear.0.{part}")
    with pytest.raises(ModelError, match=rf"tensor {name} must be .*, not {dtype}"):
        next(read_layers(layers, [entry]))


@pytest.mark.parametrize("name", ["manifest.json", "layers.safetensors", "host.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_has_no_end_is_not_read(folder, tmp_path, name, kind):
    path = tmp_path / "m"
    path.mkdir()
    for file in folder.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    (path / name).unlink()
    if kind == "pipe":
        os.mkfifo(path / name)
    else:
        (path / name).symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=rf"{name} is not a regular file"):
        SummandModel(path)


def test_links_to_files_are_followed(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    read(tmp_path)


def test_a_manifest_of_gigabytes_is_not_read(tmp_path):
    with (tmp_path / "manifest.json").open("wb") as file:
        file.truncate(3 << 30)
    start = time.perf_counter()
    with pytest.raises(ModelError, match=r"manifest\.json must be at most 67,108,864 bytes"):
        SummandModel(tmp_path)
    assert time.perf_counter() - start < 1
