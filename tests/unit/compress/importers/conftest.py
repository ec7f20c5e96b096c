"""Quantised checkpoints of a tiny Llama, written bit by bit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from summand.model import Layer
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank

#: A layer's tensors, and the float ``[N, K]`` matrix that they represent.
Written = tuple[dict[str, torch.Tensor], np.ndarray]

Writer = Callable[[np.ndarray, np.random.Generator], Written]


def to_words(rows: np.ndarray, bits: int) -> torch.Tensor:
    """Pack unsigned integers of each row into int32 words, the lowest bits first."""
    words = []
    for row in rows:
        stream = sum(int(v) << (i * bits) for i, v in enumerate(row))
        count = -(-len(row) * bits // 32)
        words.append([stream >> (32 * w) & 0xFFFFFFFF for w in range(count)])
    return torch.from_numpy(np.array(words, np.uint32).view(np.int32))


def half(values: np.ndarray) -> np.ndarray:
    """Round to float16."""
    return values.astype(np.float16).astype(np.float32)


def linear(module: nn.Module, name: str) -> np.ndarray:
    """Return the weight of a linear layer."""
    found = module.get_submodule(name)
    assert isinstance(found, nn.Linear)
    return found.weight.detach().numpy()


def dense(layer: Layer) -> Dense:
    """Return the first summand, which is dense."""
    first = layer.summands[0]
    assert isinstance(first, Dense)
    return first


def offsets(layer: Layer) -> LowRank:
    """Return the second summand of two, which is low-rank."""
    _, second = layer.summands
    assert isinstance(second, LowRank)
    return second


@pytest.fixture
def quantised_folder(llama_folder: Path, tmp_path: Path):
    """Return a function that writes the Llama's folder with some layers quantised.

    Takes a function from a weight ``[N, K]`` to tensors and the matrix that they stand for, and the
    configuration; returns the folder and the matrices by layer.
    """

    def write(
        writer: Writer, config: dict[str, Any], *, only: str = "_proj"
    ) -> tuple[Path, dict[str, np.ndarray]]:
        path = tmp_path / "quantised"
        shutil.copytree(llama_folder, path)
        state, matrices = {}, {}
        rng = np.random.default_rng(5)
        for name, tensor in load_file(path / "model.safetensors").items():
            layer = name.removesuffix(".weight")
            if not layer.endswith(only):
                state[name] = tensor
                continue
            tensors, matrices[layer] = writer(tensor.numpy(), rng)
            state |= {f"{layer}.{part}": t.contiguous() for part, t in tensors.items()}
        save_file(state, path / "model.safetensors")
        raw = json.loads((path / "config.json").read_text())
        raw["quantization_config"] = config
        (path / "config.json").write_text(json.dumps(raw))
        return path, matrices

    return write


def round_to(weight: np.ndarray, bits: int, group: int, *, shift: float = 0.0) -> Any:
    """Return integers ``[N, K]`` of two's complement and float16 scales ``[N, G]``."""
    n, k = weight.shape
    groups = -(-k // group)
    scales = np.empty((n, groups), np.float32)
    codes = np.empty((n, k), np.int64)
    top = 1 << (bits - 1)
    for g in range(groups):
        part = slice(g * group, (g + 1) * group)
        scales[:, g] = half(np.abs(weight[:, part]).max(axis=1) / (top - 1))
        q = np.rint(weight[:, part] / scales[:, g : g + 1] + shift)
        codes[:, part] = np.clip(q, -top, top - 1)
    return codes, scales
