"""What the layers of all formats of compressed-tensors have in common: their scales and groups."""

from abc import ABC
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.compress.importers.checkpoint import FolderCheckpoint
from summand.compress.importers.packed_rules import PackedRules, PackedScheme
from summand.compress.importers.tensors import Tensors

__all__ = ["CompressedTensors"]


class CompressedTensors(FolderCheckpoint, ABC):
    """A folder that compressed-tensors wrote.

    Parameters
    ----------
    tensors : Tensors
        The folder's.
    config : mapping
        ``quantization_config`` of its ``config.json``.

    Raises
    ------
    CompressError
        If something in the configuration is not understood.
    """

    format = "compressed-tensors"

    #: How integers are written: ``format`` of the configuration.
    _FORMAT: str

    #: How zeros are left out: ``format`` of its ``sparsity_config``.
    _SPARSE: Collection[str | None]

    def __init__(self, tensors: Tensors, config: Mapping[str, Any]):
        super().__init__(tensors)
        self._rules = PackedRules(config, form=self._FORMAT, sparse=self._SPARSE)

    def _scales(
        self, name: str, scheme: PackedScheme, n: int, k: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.integer]]:
        """Return a layer's scales ``[N, G]``, and the group of each of its ``k`` features."""
        scale, stated = self._tensors.get(f"{name}.weight_scale"), str(scheme)
        count = -(-k // scheme.group) if scheme.group else 1
        rows = 1 if scheme.strategy == "tensor" else n
        if scheme.strategy != "group" and scale.size == rows:
            scale = scale.reshape(rows, 1)  # stored with and without a second axis
        self._agree(name, "weight_scale", scale, (rows, count), stated)
        index = self._tensors.find(f"{name}.weight_g_idx")
        if index is None or index.min() < 0:
            index = np.arange(k) // (scheme.group or k)
        self._agree(name, "weight_g_idx", index, (k,), stated)
        return np.broadcast_to(scale, (n, count)), index
