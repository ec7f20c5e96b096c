"""compressed-tensors' ``pack-quantized``: integers in words along the input features."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from summand.compress.importers.checkpoint import FolderCheckpoint
from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.tensors import Tensors
from summand.compress.importers.weight import QuantisedWeight
from summand.compress.importers.words import unpack_words

__all__ = ["PackedCheckpoint"]

#: Widths for which every version of the format packs alike.
_WIDTHS = (1, 2, 4, 8)


class PackedCheckpoint(FolderCheckpoint):
    """A folder in which compressed-tensors wrote integer weights, symmetric or not.

    A layer ``x`` has ``x.weight_packed`` int32 ``[N, K * bits / 32]``, ``x.weight_shape``,
    ``x.weight_scale`` ``[N, G]``, and perhaps ``x.weight_zero_point`` and ``x.weight_g_idx``.
    Integers are stored with ``2**(bits - 1)`` added.

    Parameters
    ----------
    tensors : Tensors
        The folder's.
    config : mapping
        ``quantization_config`` of its ``config.json``.
    """

    format = "compressed-tensors"
    _INTEGERS = "weight_packed"

    def __init__(self, tensors: Tensors, config: Mapping[str, Any]):
        super().__init__(tensors)
        schemes = [g.get("weights") or {} for g in (config.get("config_groups") or {}).values()]
        self._stated_bits = {int(s["num_bits"]) for s in schemes if s.get("num_bits")}
        self._stated_groups = {int(s["group_size"]) for s in schemes if s.get("group_size")}

    @staticmethod
    def _is_part(part: str) -> bool:
        return part.startswith("weight_")

    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer."""
        get, find = self._tensors.get, self._tensors.find
        packed, scale = get(f"{name}.weight_packed"), get(f"{name}.weight_scale")
        n, k = (int(v) for v in get(f"{name}.weight_shape"))
        bits = self._bits(packed.shape[1], k)
        scale = scale.reshape(-1, 1) if scale.ndim < 2 else scale  # of a tensor, or of outputs
        count = scale.shape[1]
        scale = np.broadcast_to(scale, (n, count))
        index = find(f"{name}.weight_g_idx")
        if index is None or index.min() < 0:
            index = np.arange(k) // self._group(k, count)
        half = 1 << (bits - 1)
        codes = unpack_words(packed, bits, k).T - half
        if (zero := find(f"{name}.weight_zero_point")) is not None:
            if zero.dtype == np.int32:  # packed along the output features
                zero = unpack_words(zero.T, bits, n).T - half
            zero = np.broadcast_to(zero.reshape(-1, count), (n, count)).astype(np.int16)
            codes = codes - zero.T[index]
        return QuantisedWeight(codes, np.ascontiguousarray(scale.T), index, f"{bits} bits")

    def _bits(self, words: int, k: int) -> int:
        """Return the width that shapes and configuration agree on."""
        stated = self._stated_bits
        for bits in _WIDTHS:
            if words == -(-k // (32 // bits)) and (bits in stated or not stated):
                return bits
        raise NotHeldError(
            f"packed integers of {' or '.join(map(str, sorted(stated))) or 'unknown'} bits; "
            f"those of {', '.join(map(str, _WIDTHS))} bits can be read"
        )

    def _group(self, k: int, count: int) -> int:
        """Return how many features share a scale; the configuration says where sizes do not."""
        if count == 1:
            return k
        for size in sorted(self._stated_groups):
            if size > 0 and -(-k // size) == count:
                return size
        if k % count:
            raise NotHeldError(f"{count} groups of unknown size over {k} features")
        return k // count
