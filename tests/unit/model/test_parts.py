import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from summand.model import ModelError, ModelWriter, SummandModel
from summand.model.tensors import merge

JOB = {"source": {"sha256": "abc"}, "options": {"bits": 4, "rank": 0}}


def named(make_layer, count):
    layers = [make_layer(i) for i in range(count)]
    for i, layer in enumerate(layers):
        object.__setattr__(layer, "name", f"block.{i}")
    return layers


def finish(writer, layers):
    return writer.finish(
        groups=[[layer.name] for layer in layers], source={"kind": "test"}, options={}
    )


def hidden(tmp_path: Path) -> Path:
    return tmp_path / ".m.partial"


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def interrupted(tmp_path, make_layer):
    """A job that is interrupted after two of three layers."""
    layers = named(make_layer, 3)

    def work():
        with ModelWriter(tmp_path / "m", job=JOB) as writer:
            for layer in layers[:2]:
                writer.add(layer, error=0.25)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        work()
    return layers


def test_a_merged_file_holds_all_tensors_aligned(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        "a": rng.integers(0, 255, 5).astype(np.uint8),
        "b": rng.standard_normal((3, 2)).astype(np.float32),
        "c": rng.integers(0, 9, 3).astype(np.uint16),
        "d": np.zeros((0, 4), np.float32),
        "e": rng.standard_normal(1),
    }
    save_file({k: tensors[k] for k in "abd"}, tmp_path / "1")
    save_file({k: tensors[k] for k in "ce"}, tmp_path / "2")
    merge([tmp_path / "1", tmp_path / "2"], tmp_path / "all")
    got = load_file(tmp_path / "all")
    assert got.keys() == tensors.keys()
    for name, value in tensors.items():
        assert got[name].dtype == value.dtype
        assert np.array_equal(got[name], value)
    raw = (tmp_path / "all").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    for name, value in tensors.items():
        assert (8 + length + header[name]["data_offsets"][0]) % value.itemsize == 0


def test_nothing_can_be_merged(tmp_path):
    merge([], tmp_path / "all")
    with safe_open(tmp_path / "all", framework="numpy") as file:
        assert list(file.keys()) == []


def test_finished_layers_are_found_again(tmp_path, interrupted):
    with ModelWriter(tmp_path / "m", job=JOB) as writer:
        assert list(writer.finished) == ["block.0", "block.1"]
        assert writer.finished["block.1"].error == 0.25
        writer.add(interrupted[2], error=0.25)
        finish(writer, interrupted)
    with ModelWriter(tmp_path / "whole") as writer:
        for layer in interrupted:
            writer.add(layer, error=0.25)
        finish(writer, interrupted)
    assert files(tmp_path / "m") == files(tmp_path / "whole")
    assert not hidden(tmp_path).exists()


def test_layers_are_in_the_models_order(tmp_path, make_layer):
    layers = named(make_layer, 3)
    with ModelWriter(tmp_path / "m", job=JOB) as writer:
        for layer in reversed(layers):
            writer.add(layer)
        finish(writer, layers)
    assert SummandModel(tmp_path / "m").names == ("block.0", "block.1", "block.2")


def test_another_job_is_refused_and_leaves_them(tmp_path, interrupted):
    other = {**JOB, "options": {"bits": 3, "rank": 0}}
    said = "holds 2 finished layers of an interrupted job with options bits 4, not 3.*--force"
    for _ in range(2):
        with pytest.raises(ModelError, match=said):
            ModelWriter(tmp_path / "m", job=other).__enter__()
    with ModelWriter(tmp_path / "m", job=other, restart=True) as writer:
        assert not writer.finished
        finish(writer, [])


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "record", "no record"])
def test_damaged_layers_are_dropped(tmp_path, interrupted, harm):
    first, second = sorted(hidden(tmp_path).glob("finished/*.safetensors"))
    record = first.with_suffix(".json")
    if harm == "flip":
        raw = bytearray(first.read_bytes())
        raw[-1] ^= 1
        first.write_bytes(raw)
    elif harm == "cut":
        os.truncate(first, 100)
    elif harm == "gone":
        first.unlink()
    elif harm == "record":
        record.write_text(record.read_text().replace('"error": 0.25', '"error": 0.5'))
    else:
        record.unlink()
    with ModelWriter(tmp_path / "m", job=JOB) as writer:
        assert list(writer.finished) == ["block.1"]
        for layer in interrupted[::2]:
            writer.add(layer, error=0.25)
        finish(writer, interrupted)
    assert SummandModel(tmp_path / "m").names == ("block.0", "block.1", "block.2")
    assert second.parent != first


def test_nothing_finished_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="at once"):
        with ModelWriter(tmp_path / "m", job=JOB):
            raise RuntimeError("at once")
    assert list(tmp_path.iterdir()) == []


def test_two_at_a_time_are_refused(tmp_path):
    with ModelWriter(tmp_path / "m", job=JOB):
        with pytest.raises(ModelError, match="another process is at work on"):
            ModelWriter(tmp_path / "m", job=JOB).__enter__()


def test_a_full_disk_keeps_what_is_finished(tmp_path, make_layer, monkeypatch):
    layers = named(make_layer, 2)

    def full(*_):
        raise OSError(28, "No space left on device")

    def work():
        with ModelWriter(tmp_path / "m", job=JOB) as writer:
            writer.add(layers[0])
            monkeypatch.setattr("safetensors.numpy.save_file", full)
            writer.add(layers[1])

    with pytest.raises(ModelError, match=r"No space left.*1 finished layers are kept"):
        work()
    monkeypatch.undo()
    with ModelWriter(tmp_path / "m", job=JOB) as writer:
        assert list(writer.finished) == ["block.0"]


def test_a_killed_process_leaves_whole_layers(tmp_path):
    """The lock goes with the process, and so does a layer that was being written."""
    code = f"""
import os, signal
import numpy as np
from pathlib import Path
from summand.model import Layer, ModelWriter
from summand.summands.dense import Dense
w = np.ones((4, 3), np.int8)
def layer(name):
    return Layer(name, 4, 3, 8, (Dense(w, 4),), np.ones(3, np.float32))
with ModelWriter(Path({str(tmp_path / "m")!r}), job={JOB!r}) as writer:
    writer.add(layer("one"))
    writer.add(layer("two"))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    with ModelWriter(tmp_path / "m", job=JOB) as writer:
        assert list(writer.finished) == ["one", "two"]


def test_a_revised_layer_is_what_is_finished(tmp_path, make_layer):
    layers = named(make_layer, 2)
    with ModelWriter(tmp_path / "m", job=JOB) as writer:
        for layer in layers:
            writer.add(layer, error=0.25)
        other = dataclasses.replace(layers[1], scale=layers[1].scale * 2)
        writer.revise(other, error=0.5)
        assert np.array_equal(writer.layer("block.1").scale, other.scale)
        finish(writer, layers)
    model = SummandModel(tmp_path / "m")
    assert np.array_equal(model.layer("block.0").scale, layers[0].scale)
    assert np.array_equal(model.layer("block.1").scale, other.scale)
    assert [e.error for e in model.manifest.layers] == [0.25, 0.5]


def test_an_interrupted_writer_leaves_what_was_added(tmp_path, make_layer):
    layers = named(make_layer, 2)

    def work():
        with ModelWriter(tmp_path / "m", job=JOB) as writer:
            for layer in layers:
                writer.add(layer, error=0.25)
            writer.revise(dataclasses.replace(layers[0], scale=layers[0].scale * 2))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        work()
    with ModelWriter(tmp_path / "m", job=JOB) as writer:
        assert np.array_equal(writer.layer("block.0").scale, layers[0].scale)
        assert writer.finished["block.0"].error == 0.25
        finish(writer, layers)
    assert {f.name for f in (tmp_path / "m").iterdir()} == {
        "manifest.json", "layers.safetensors", "host.safetensors",
    }  # fmt: skip
