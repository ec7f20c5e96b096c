"""Layers with sparse summands: their bits, and what a folder keeps of them."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from summand.isa.patterns import SparsePattern
from summand.model import Layer, ModelError, ModelWriter, SummandModel
from summand.model.manifest import Manifest
from summand.summands.dense import Dense, DenseEntry
from summand.summands.errors import LayerError
from summand.summands.outliers import Outliers, OutliersEntry

from .test_folder import edit_manifest

K, N = 32, 6


def sparse(rng: np.random.Generator, pattern: SparsePattern, bits: int) -> np.ndarray:
    """Return a matrix with as many weights as a pattern allows."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    cut = rng.integers(low, high + 1, (K // pattern.block, pattern.block, N), np.int8)
    cut[cut == 0] = low
    rank = rng.permuted(np.broadcast_to(np.arange(pattern.block)[:, None], cut.shape), axis=1)
    cut[rank >= pattern.kept] = 0
    return cut.reshape(K, N)


def layer(seed: int, *, group: int = 0) -> Layer:
    """Return a layer of 3-bit weights, two of four of them, and an outlier in each eight."""
    rng = np.random.default_rng(seed)
    half, eighth = SparsePattern(kept=2, block=4), SparsePattern(kept=1, block=8)
    scales = rng.integers(1, 16, (K // group, N), np.uint8) if group else None
    dense = Dense(sparse(rng, half, 3), 3, scales, 4 if group else 0, group, pattern=half)
    outliers = Outliers(sparse(rng, eighth, 8), 8, eighth)
    scale = rng.uniform(0.1, 1, N).astype(np.float32)
    return Layer("x", K, N, 8, (dense, outliers), scale)


def write(path, made: Layer) -> Manifest:
    with ModelWriter(path) as writer:
        writer.add(made, error=0.5)
        return writer.finish(groups=[["x"]], source={"kind": "test"}, options={})


@pytest.mark.parametrize("group", [0, 8])
def test_they_survive(tmp_path, group):
    made = layer(1, group=group)
    write(tmp_path / "m", made)
    model = SummandModel(tmp_path / "m")
    read = model.layer("x")
    assert read.entries == made.entries == model.entry("x").summands
    for ours, theirs in zip(made.summands, read.summands, strict=True):
        assert isinstance(ours, Dense | Outliers)
        assert isinstance(theirs, Dense | Outliers)
        assert np.array_equal(ours.weights, theirs.weights)
    x = np.random.default_rng(2).integers(-128, 128, (5, K))
    dense, outliers = made.summands
    assert np.array_equal(made.accumulate(x), read.accumulate(x))
    assert np.array_equal(made.accumulate(x), x @ (dense.matrix() + outliers.matrix()).astype(int))


def test_bits_are_those_of_indices_and_kept_weights():
    # 2:4 of 3 bits: a mask and two values; 1:8 of 8 bits: a position of 3 bits and a value.
    assert layer(3).bits == K * N // 4 * (4 + 2 * 3) + K * N // 8 * (3 + 8)


def test_only_kept_weights_are_on_the_disk(tmp_path):
    write(tmp_path / "m", layer(4))
    tensors = load_file(tmp_path / "m" / "layers.safetensors")
    assert tensors["x.0.weights"].size == K * N // 2 * 3 // 8
    assert tensors["x.0.positions"].size == K * N // 2 * 2 // 8
    assert tensors["x.1.weights"].size == K * N // 8
    assert tensors["x.1.positions"].size == K * N // 8 * 3 // 8


def test_a_manifest_has_their_patterns(tmp_path):
    (entry,) = write(tmp_path / "m", layer(5)).layers
    assert entry.summands == (
        DenseEntry(bits=3, kept=2, block=4),
        OutliersEntry(bits=8, kept=1, block=8),
    )
    assert entry.label == "dense 3 bits 2:4 + outliers 1:8, 8 bits"


def test_positions_that_repeat_are_refused(tmp_path):
    write(tmp_path / "m", layer(6))
    path = tmp_path / "m" / "layers.safetensors"
    tensors = load_file(path)
    tensors["x.0.positions"] = np.zeros_like(tensors["x.0.positions"])
    save_file(tensors, path)
    with pytest.raises(ModelError, match="positions must ascend within each block of 4"):
        SummandModel(tmp_path / "m", verify=False).layer("x")


def test_no_half_step_weight_has_a_pattern():
    dense = layer(7).summands[0]
    assert isinstance(dense, Dense)
    with pytest.raises(LayerError, match="half_step must be false with pattern 2:4"):
        replace(dense, half_step=True)
    with pytest.raises(LayerError, match="half_step must be false with kept 2 and block 4"):
        DenseEntry(bits=3, kept=2, block=4, half_step=True)


def pruned(seed: int) -> Layer:
    """Return a layer whose second 8 inputs have no weights, and outliers in the first 8 only."""
    made = layer(seed)
    dense, outliers = made.summands
    assert isinstance(dense, Dense)
    assert isinstance(outliers, Outliers)
    place = np.arange(K)[:, None]
    narrower = replace(dense, weights=np.where(place // 8 == 1, np.int8(0), dense.weights))
    fewer = replace(outliers, weights=np.where(place >= 8, np.int8(0), outliers.weights))
    return replace(made, summands=(narrower, fewer))


def test_inputs_without_weights_are_in_the_manifest_and_cost_nothing(tmp_path):
    made = pruned(8)
    write(tmp_path / "m", made)
    model = SummandModel(tmp_path / "m")
    entry, read = model.entry("x"), model.layer("x")
    assert entry.summands == read.entries == made.entries
    assert entry.summands == (
        DenseEntry(bits=3, kept=2, block=4, empty=((8, 16),)),
        OutliersEntry(bits=8, kept=1, block=8, empty=((8, 32),)),
    )
    assert read.sizes == entry.sizes
    assert entry.bits == 24 * N // 4 * (4 + 2 * 3) + 8 * N // 8 * (3 + 8)


@pytest.mark.parametrize(
    ("summand", "empty", "said"),
    [
        (0, [], "empty must be 8 to 16 as the weights are, not no features"),
        (1, [[16, 24]], "empty must be 8 to 32 as the weights are, not 16 to 24"),
        (0, [[8, 16, 24]], r"a run in empty must be two features, not \[8, 16, 24\]"),
        (1, [[8, 40]], "empty must be 8 to 32 as the weights are, not 8 to 40"),
    ],
)
def test_runs_that_the_weights_do_not_have_are_refused(tmp_path, summand, empty, said):
    write(tmp_path / "m", pruned(9))
    edit_manifest(
        tmp_path / "m", lambda raw: raw["layers"][0]["summands"][summand].update(empty=empty)
    )
    with pytest.raises(ModelError, match=said):
        SummandModel(tmp_path / "m").layer("x")
