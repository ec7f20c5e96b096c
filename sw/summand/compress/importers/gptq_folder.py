"""Safetensors as GPTQ's tools write them: integers in words along the input features."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from summand.compress.errors import CompressError
from summand.compress.importers.checkpoint import FolderCheckpoint
from summand.compress.importers.tensors import Tensors
from summand.compress.importers.weight import QuantisedWeight
from summand.compress.importers.words import unpack_words

__all__ = ["GptqCheckpoint"]

_PARTS = ("qweight", "qzeros", "scales", "g_idx")


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
        If its bits are none that these tools write.
    """

    format = "GPTQ"
    _INTEGERS = "qweight"

    def __init__(self, tensors: Tensors, config: Mapping[str, Any]):
        super().__init__(tensors)
        bits = config.get("bits")
        if bits not in (2, 3, 4, 8):
            raise CompressError(
                f"config.json: quantization_config.bits must be 2, 3, 4 or 8, not {bits!r}"
            )
        self._bits = int(bits)
        self._group = int(config.get("group_size") or -1)
        self._first = 0 if config.get("checkpoint_format") == "gptq_v2" else 1

    @staticmethod
    def _is_part(part: str) -> bool:
        return part in _PARTS

    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer."""
        get, bits = self._tensors.get, self._bits
        qweight, scales = get(f"{name}.qweight"), get(f"{name}.scales")
        k, n = len(qweight) * 32 // bits, qweight.shape[1]
        index = self._tensors.find(f"{name}.g_idx")
        if index is None:
            index = np.arange(k) // (self._group if self._group > 0 else k)
        codes = unpack_words(qweight.T, bits, len(index)).T
        zeros = unpack_words(get(f"{name}.qzeros"), bits, n)
        zeros = (zeros + self._first) & ((1 << bits) - 1)
        return QuantisedWeight(codes - zeros[index], scales, index, f"{bits} bits")
