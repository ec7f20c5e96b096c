"""Hugging Face folders with quantised weights, read without the libraries that wrote them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from summand.compress.errors import CompressError
from summand.compress.importers.bitmask import BITMASKS, BitmaskCheckpoint
from summand.compress.importers.checkpoint import FolderCheckpoint
from summand.compress.importers.gptq_folder import GptqCheckpoint
from summand.compress.importers.marlin import MarlinCheckpoint
from summand.compress.importers.packed import PackedCheckpoint
from summand.compress.importers.tensors import Tensors
from summand.model import ModelError
from summand.model.reading import read_json

__all__ = ["float_tensors", "open_folder", "quantisation_of"]

#: Where ``config.json`` says how the folder is quantised: now, and of old.
_KEYS = ("quantization_config", "compression_config")


def quantisation_of(folder: Path) -> Mapping[str, Any] | None:
    """Return what a folder's ``config.json`` says of its quantisation, if it is quantised.

    Raises
    ------
    CompressError
        If ``config.json`` cannot be read.
    """
    path = folder / "config.json"
    try:
        raw = read_json(path)
        stated = [raw[key] for key in _KEYS if raw.get(key)]
    except (OSError, ModelError, AttributeError) as e:
        raise CompressError(f"{path} cannot be read: {e}; download it again") from None
    if not stated:
        return None
    if any(other != stated[0] for other in stated):
        raise CompressError(f"{path}: {' and '.join(_KEYS)} contradict each other")
    if not isinstance(stated[0], Mapping):
        raise CompressError(f"{path}: {_KEYS[0]} must be an object, not {stated[0]!r}")
    return stated[0]


def open_folder(folder: Path, tensors: Tensors, config: Mapping[str, Any]) -> FolderCheckpoint:
    """Open a quantised folder.

    Raises
    ------
    CompressError
        If it is of a kind that cannot be read.
    """
    method, form = config.get("quant_method"), config.get("format")
    if method == "gptq":
        return GptqCheckpoint(tensors, config)
    sparsity = config.get("sparsity_config")
    sparse = sparsity.get("format") if isinstance(sparsity, Mapping) else None
    if method == "compressed-tensors" and sparse in BITMASKS:
        return BitmaskCheckpoint(tensors, config)
    if method == "compressed-tensors" and form == "marlin-24":
        return MarlinCheckpoint(tensors, config)
    if method == "compressed-tensors" and form in ("pack-quantized", "mixed-precision"):
        return PackedCheckpoint(tensors, config)
    kind = f"{method} {form}" if form else str(method)
    raise CompressError(
        f"{folder} is quantised by {kind}, which cannot be read; gptq and compressed-tensors "
        f"pack-quantized can, or give the model before it was quantised"
    )


def float_tensors(checkpoint: FolderCheckpoint, tensors: Tensors) -> dict[str, torch.Tensor]:
    """Return the state of the model in float32, quantised layers as what they stand for."""
    state = {
        name: tensor.float() if (tensor := tensors.tensor(name)).is_floating_point() else tensor
        for name in tensors.names
        if not checkpoint.owns(name)
    }
    for name in checkpoint.names:
        matrix = torch.from_numpy(checkpoint.matrix(name))
        state[f"{name}.weight"] = matrix.T.contiguous()
    return state
