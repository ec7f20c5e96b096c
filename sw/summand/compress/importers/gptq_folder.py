"""Safetensors as GPTQ's tools write them: integers in words along the input features."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from summand.compress.errors import CompressError
from summand.compress.importers.checkpoint import FolderCheckpoint
from summand.compress.importers.gptq_rules import GptqRules
from summand.compress.importers.tensors import Tensors
from summand.compress.importers.weight import QuantisedWeight
from summand.compress.importers.words import unpack_words

__all__ = ["GptqCheckpoint"]


class GptqCheckpoint(FolderCheckpoint):
    """A folder with layers of ``qweight``, ``qzeros``, ``scales`` and ``g_idx``.

    ``qweight`` is int32 ``[K * bits / 32, N]``, ``qzeros`` int32 ``[G, N * bits / 32]``, ``scales``
    ``[G, N]``, ``g_idx`` the group of each feature. A weight is ``(q - z) * scale``; in the older
    form of the format ``z - 1`` is stored, within the same bits.

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

    format = "GPTQ"
    _INTEGERS = "qweight"
    _PARTS = frozenset({"qweight", "qzeros", "scales", "g_idx"})

    def __init__(self, tensors: Tensors, config: Mapping[str, Any]):
        super().__init__(tensors)
        self._rules = GptqRules(config)

    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer."""
        get, scheme = self._tensors.get, self._rules.scheme(name)
        bits, group = scheme.bits, scheme.group
        qweight, qzeros, scales = (get(f"{name}.{p}") for p in ("qweight", "qzeros", "scales"))
        index = self._tensors.find(f"{name}.g_idx")
        if index is None and group and self._rules.ordered:
            raise CompressError(f"layer {name} has no g_idx, which desc_act in config.json wants")
        n = qweight.shape[-1]
        k = len(qweight) * 32 // bits if index is None else index.size
        group = group or k
        count = -(-k // group)
        stated = f"{bits} bits in groups of {group}"
        self._agree(name, "qweight", qweight, (-(-k * bits // 32), n), stated)
        self._agree(name, "qzeros", qzeros, (count, -(-n * bits // 32)), stated)
        self._agree(name, "scales", scales, (count, n), stated)
        if index is None:
            index = np.arange(k) // group
        codes = unpack_words(qweight.T, bits, k).T
        zeros = unpack_words(qzeros, bits, n)
        zeros = (zeros + self._rules.first) & ((1 << bits) - 1)
        return QuantisedWeight(codes - zeros[index], scales, index, f"{bits} bits")
