"""Folders of compressed-tensors whose zeros are left out, written here bit by bit."""

import numpy as np
import pytest
import torch

from summand.compress import CompressError, Options, Text, open_source, plan
from summand.isa.patterns import SparsePattern
from summand.model import SummandModel

from .conftest import dense, linear, round_to
from .test_folders import PACKED, packed

TEXT = Text("test", "the quick brown fox jumps over the lazy dog; " * 40)
HALF = SparsePattern(kept=2, block=4)


def config(form: str, structure: str = "2:4", **more):
    """Return a configuration of compressed-tensors, as it is written of sparse models."""
    return {
        "quant_method": "compressed-tensors",
        "sparsity_config": {
            "format": form,
            "sparsity_structure": structure,
            "global_sparsity": 0.5,
            "registry_requires_subclass": False,
            "ignore": ["lm_head"],
            "targets": ["Linear"],
        },
        **more,
    }


INTEGERS = {
    "format": "int-quantized",
    "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 8, "group_size": 16}}},
}


def halved(weight: np.ndarray) -> np.ndarray:
    """Return a weight ``[N, K]`` with the two smallest of every four at 0."""
    cut = weight.reshape(len(weight), -1, 4)
    rank = np.abs(cut).argsort(axis=2).argsort(axis=2)
    return np.where(rank >= 2, cut, 0).reshape(weight.shape)


def bits_of(rows: np.ndarray) -> torch.Tensor:
    """Write a bit for each weight that is not 0, the first in a byte's lowest bit."""
    n, k = rows.shape
    out = np.zeros((n, -(-k // 8)), np.uint8)
    for row, column in np.argwhere(rows != 0):
        out[row, column // 8] |= 1 << column % 8
    return torch.from_numpy(out)


def masked(rows: np.ndarray, *, offsets: bool) -> dict[str, torch.Tensor]:
    """Write a matrix's bitmask and its other parts."""
    n, k = rows.shape
    values = np.concatenate([row[row != 0] for row in rows])
    counts = np.array([np.count_nonzero(row) for row in rows])
    parts = {"bitmask": bits_of(rows), "compressed": torch.from_numpy(values)}
    if offsets:
        starts = [int(counts[:i].sum()) for i in range(n)]
        return parts | {"shape": torch.tensor([n, k]), "row_offsets": torch.tensor(starts)}
    parts["compressed"] = parts["compressed"].reshape(n, k // 2)
    return parts | {"shape": torch.tensor([[n], [k]])}


def floats(*, offsets: bool = False, change=None):
    """Return a writer of weights in floating point; ``change`` damages what it writes."""

    def write(weight, rng):
        rows = halved(weight.astype(np.float32))
        tensors = masked(rows, offsets=offsets)
        if change:
            change(tensors)
        return tensors, rows

    return write


def integers(weight, rng):
    """Write weights of 8 bits with scales of groups."""
    codes, scales = round_to(halved(weight), 8, 16)
    # The format keeps two of each four, of which one may be 0: here none is.
    codes = np.where((codes == 0) & (halved(weight) != 0), 1, codes)
    tensors = masked(codes.astype(np.int8), offsets=False)
    tensors["weight_scale"] = torch.from_numpy(scales)
    return tensors, (codes * np.repeat(scales, 16, axis=1)[:, : codes.shape[1]]).astype(np.float32)


@pytest.mark.parametrize(
    ("writer", "raw"),
    [
        (floats(), config("sparse-24-bitmask")),
        (floats(offsets=True), config("sparse-bitmask", "unstructured", format="dense")),
        (integers, config("sparse-24-bitmask", **INTEGERS)),
    ],
)
def test_weights_are_what_was_written(quantised_folder, writer, raw):
    path, matrices = quantised_folder(writer, raw)
    source = open_source(str(path))
    assert len(matrices) == 14
    for name, matrix in matrices.items():
        assert np.array_equal(linear(source.module, name), matrix)


def test_the_pattern_of_floats_can_be_kept(quantised_folder, tmp_path):
    path, matrices = quantised_folder(floats(), config("sparse-24-bitmask"))
    options = Options(sparsity="2:4", sparsity_score="magnitude", rotate=False)
    plan(open_source(str(path)), options, TEXT, tokens=400).run(tmp_path / "m")
    model = SummandModel(tmp_path / "m")
    for name, matrix in matrices.items():
        weights = dense(model.layer(name))
        assert weights.pattern == HALF
        assert not weights.weights.T[matrix == 0].any()


def test_integers_are_taken_over_with_their_pattern(quantised_folder, tmp_path):
    path, matrices = quantised_folder(integers, config("sparse-24-bitmask", **INTEGERS))
    keep = Options(keep_quantised=True, scale_bits=8)
    manifest = plan(open_source(str(path)), keep, TEXT, tokens=400).run(tmp_path / "m")
    assert manifest.options["kept"]["layers"].keys() == matrices.keys()
    model = SummandModel(tmp_path / "m")
    for name, matrix in matrices.items():
        layer = model.layer(name)
        assert (dense(layer).bits, dense(layer).pattern) == (8, HALF)
        error = np.linalg.norm(layer.matrix().T - matrix) / np.linalg.norm(matrix)
        assert error < 0.003


def test_floats_are_not_taken_over_as_integers(quantised_folder):
    path, _ = quantised_folder(floats(), config("sparse-24-bitmask"))
    with pytest.raises(CompressError, match="its weights are in floating point, though sparse"):
        plan(open_source(str(path)), Options(keep_quantised=True), TEXT, tokens=400)


def test_packed_integers_have_the_pattern_that_is_stated_where_they_follow_it(quantised_folder):
    count = iter(range(100))

    def write(weight, rng):
        return packed()(halved(weight) if next(count) % 2 else weight, rng)

    path, matrices = quantised_folder(write, PACKED | config("dense"))
    source = open_source(str(path))
    assert source.quantised is not None
    found = [source.quantised.weight(name) for name in matrices]
    assert [w.pattern for w in found] == [HALF if i % 2 else None for i in range(14)]
    assert {w.kind for w in found} == {"4 bits", "4 bits, 2:4"}


def double(tensors):
    tensors["bitmask"][0, 0] = 0b00010111


def more(tensors):
    tensors["bitmask"][0, 0] = 0b11111111


def sizes(tensors):
    tensors["shape"] = torch.tensor([3, 3, 3])


def narrow(tensors):
    tensors["bitmask"] = tensors["bitmask"][:, :-1]


def wide(tensors):
    tensors["bitmask"] = tensors["bitmask"].to(torch.int32)


def late(tensors):
    tensors["row_offsets"][1] += 1


def scaled(tensors):
    tensors["weight_scale"] = torch.ones(1)


@pytest.mark.parametrize(
    ("change", "form", "match"),
    [
        (double, "sparse-24-bitmask", "keeps 3 of the inputs 0 to 3 of output 0, but sparse-24"),
        (more, "sparse-24-bitmask", "kept weights, but its bitmask names"),
        (sizes, "sparse-24-bitmask", "its shape must be two sizes"),
        (narrow, "sparse-24-bitmask", "its bitmask is of shape"),
        (wide, "sparse-24-bitmask", "its bitmask must be uint8, not int32"),
        (late, "sparse-bitmask", "its row_offsets are not those of its bitmask"),
        (scaled, "sparse-24-bitmask", "has a weight_scale, but its kept weights are in floating"),
    ],
)
def test_what_contradicts_itself_is_refused(quantised_folder, change, form, match):
    path, _ = quantised_folder(
        floats(offsets=form == "sparse-bitmask", change=change), config(form)
    )
    with pytest.raises(CompressError, match=match):
        open_source(str(path))


def test_formats_that_are_not_read_are_named(quantised_folder):
    path, _ = quantised_folder(floats(), config("sparse-24-bitmask", format="float-quantized"))
    with pytest.raises(CompressError, match=r"quantization_config.format must be int-quantized or"):
        open_source(str(path))
