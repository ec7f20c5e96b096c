"""Folders in compressed-tensors' ``marlin-24``, written here integer by integer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from summand.compress import CompressError
from summand.compress.importers import NotHeldError, hold, open_folder
from summand.compress.importers.marlin import MarlinCheckpoint
from summand.isa.patterns import SparsePattern

from .conftest import dense, round_to, to_words
from .test_bitmask import halved

N, K = 64, 256
HALF = SparsePattern(kept=2, block=4)


def config(**weights):
    weights = {"num_bits": 4, "group_size": 32, "symmetric": True} | weights
    return {
        "quant_method": "compressed-tensors",
        "format": "marlin-24",
        "config_groups": {"g": {"targets": ["Linear"], "weights": weights}},
    }


def kernel_order(bits: int) -> list[int]:
    """Return which integer of four tiles comes when, as the kernel's threads take them."""
    places = []
    for thread in range(32):
        column = thread // 4
        first = 2 * (thread % 4)
        for j in range(4):
            for half in (0, 4):
                corner = 256 * (column // 2) + 8 * (column % 2) + half + j
                places += [corner + 16 * (first + i) for i in (0, 1, 8, 9)]
    word = [0, 2, 4, 6, 1, 3, 5, 7] if bits == 4 else [0, 2, 1, 3]
    return [places[start + i] for start in range(0, len(places), len(word)) for i in word]


def place_of_meta(row: int, column: int, rows: int) -> int:
    """Return where CUTLASS keeps the word of four blocks."""
    at = row // 64 * 64 + row % 2 * 2 + row % 8 // 4 + row % 4 // 2 * 32 + row % 64 // 8 * 4
    if at % 2 == 0 and column % 2 == 1:
        at, column = at + 1, column - 1
    elif at % 2 == 1 and column % 2 == 0:
        at, column = at - 1, column + 1
    return column // 2 * rows * 2 + at * 2 + column % 2


def marlin(codes: np.ndarray, scales: np.ndarray, bits: int, *, grouped: bool):
    """Write 2:4 integers ``[N, K]`` and their scales ``[N, G]``."""
    n, k = codes.shape
    kept = np.empty((n, k // 2), np.int64)
    meta = np.zeros(n * k // 16, np.uint16)
    for row in range(n):
        for block in range(k // 4):
            four = codes[row, 4 * block : 4 * block + 4]
            one, two = sorted(np.argsort(four == 0, kind="stable")[:2])
            kept[row, 2 * block], kept[row, 2 * block + 1] = four[one], four[two]
            field = int(one) | int(two) << 2
            meta[place_of_meta(row, block // 4, n)] |= field << 4 * (block % 4)
    stored = kept.T + (1 << (bits - 1))
    tiles = stored.reshape(k // 32, 16, n // 16, 16).transpose(0, 2, 1, 3)
    runs = tiles.reshape(-1, 1024)[:, kernel_order(bits)]
    if grouped:
        order = [8 * i + j for i in range(8) for j in (0, 4, 1, 5, 2, 6, 3, 7)]
        scales = scales.T.reshape(-1, 64)[:, order].reshape(scales.shape[1], n)
    else:
        scales = scales.T
    return {
        "weight_packed": to_words(runs.reshape(k // 32, n * 16), bits),
        "scale_packed": torch.from_numpy(np.ascontiguousarray(scales)).to(torch.float16),
        "meta": torch.from_numpy(meta.view(np.int16).reshape(k // 32, -1)),
    }


class Written:
    """Tensors of one layer, ``x``."""

    def __init__(self, parts: dict[str, torch.Tensor]):
        self._parts = {f"x.{part}": tensor for part, tensor in parts.items()}
        self.names = self._parts.keys()

    def tensor(self, name):
        return self._parts[name]

    def get(self, name):
        tensor = self._parts[name]
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()

    def find(self, name):
        return self.get(name) if name in self._parts else None


def read(parts: dict[str, torch.Tensor], raw) -> MarlinCheckpoint:
    tensors: Any = Written(parts)
    return MarlinCheckpoint(tensors, raw)


def layer(bits: int, group: int):
    rng = np.random.default_rng(bits)
    return round_to(halved(rng.normal(size=(N, K))), bits, group or K)


@pytest.mark.parametrize(("bits", "group"), [(4, 32), (4, 128), (4, 0), (8, 64), (8, 0)])
def test_integers_and_scales_are_what_was_written(bits, group):
    codes, scales = layer(bits, group)
    parts = marlin(codes, scales, bits, grouped=0 < group < K // 2)
    raw = config(num_bits=bits, group_size=group or -1)
    weight = read(parts, raw).weight("x")
    assert np.array_equal(weight.codes.T, codes)
    assert np.array_equal(weight.scales.T, scales)
    assert weight.pattern == HALF
    assert weight.kind == f"{bits} bits, 2:4"


def damaged(parts, change):
    change(parts)
    return read(parts, config()).weight("x")


def repeat(parts):
    parts["meta"][0, 0] = 0


def short(parts):
    parts["meta"] = parts["meta"][:-1]


def narrow(parts):
    parts["weight_packed"] = parts["weight_packed"][:, :64]


def fewer(parts):
    parts["scale_packed"] = parts["scale_packed"][:-1]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (repeat, "meta names positions 0 and 0 among inputs 0 to 3 of output 0"),
        (short, "its meta must be 1024 words of int16 for 64 outputs of 256 inputs"),
        (narrow, "its weight_packed of shape .* is no number of tiles"),
        (fewer, "its scale_packed is of shape"),
    ],
)
def test_what_contradicts_itself_is_refused(change, match):
    codes, scales = layer(4, 32)
    parts = marlin(codes, scales, 4, grouped=True)
    with pytest.raises(CompressError, match=match):
        damaged(parts, change)


@pytest.mark.parametrize("weights", [{"num_bits": 2}, {"symmetric": False}])
def test_other_widths_and_zero_points_are_not_known(weights):
    codes, scales = layer(4, 32)
    parts = marlin(codes, scales, 4, grouped=True)
    with pytest.raises(NotHeldError, match="marlin-24 of .* 4 and 8 bits without zero points"):
        read(parts, config(**weights)).weight("x")


def test_layers_are_taken_over_exactly():
    codes, scales = layer(4, 0)
    tensors: Any = Written(marlin(codes, scales, 4, grouped=False))
    weight = open_folder(Path("m"), tensors, config(group_size=-1)).weight("x")
    sample = torch.randn(20, K, generator=torch.Generator().manual_seed(1))
    held = hold("x", weight, bias=None, sample=sample, act_bits=8, scale_bits=4, acc_bits=32)
    assert dense(held).pattern == HALF
    assert np.array_equal(held.matrix().astype(np.float32).T, (codes * scales).astype(np.float32))
