"""compressed-tensors' ``pack-quantized``: integers in words along the input features."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from summand.compress.errors import CompressError
from summand.compress.importers.checkpoint import FolderCheckpoint
from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.packed_rules import PackedRules
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

    Raises
    ------
    CompressError
        If something in the configuration is not understood.
    """

    format = "compressed-tensors"
    _INTEGERS = "weight_packed"
    _PARTS = frozenset(
        f"weight_{part}" for part in ("packed", "shape", "scale", "zero_point", "g_idx")
    )

    def __init__(self, tensors: Tensors, config: Mapping[str, Any]):
        super().__init__(tensors)
        self._rules = PackedRules(config)

    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer."""
        get, find = self._tensors.get, self._tensors.find
        scheme = self._rules.scheme(name)
        bits, stated = scheme.bits, str(scheme)
        if bits not in _WIDTHS:
            raise NotHeldError(
                f"packed integers of {bits} bits; those of {', '.join(map(str, _WIDTHS))} bits can "
                f"be read"
            )
        packed, scale = get(f"{name}.weight_packed"), get(f"{name}.weight_scale")
        n, k = (int(v) for v in get(f"{name}.weight_shape"))
        count = -(-k // scheme.group) if scheme.group else 1
        self._agree(name, "weight_packed", packed, (n, -(-k // (32 // bits))), stated)
        rows = 1 if scheme.strategy == "tensor" else n
        if scheme.strategy != "group" and scale.size == rows:
            scale = scale.reshape(rows, 1)  # stored with and without a second axis
        self._agree(name, "weight_scale", scale, (rows, count), stated)
        scale = np.broadcast_to(scale, (n, count))
        index = find(f"{name}.weight_g_idx")
        if index is None or index.min() < 0:
            index = np.arange(k) // (scheme.group or k)
        self._agree(name, "weight_g_idx", index, (k,), stated)
        half = 1 << (bits - 1)
        codes = unpack_words(packed, bits, k).T - half
        zero = find(f"{name}.weight_zero_point")
        if (zero is None) != scheme.symmetric and (zero is None or zero.any()):
            has = "no zero points" if zero is None else "zero points"
            raise CompressError(
                f"layer {name} has {has}, which config.json contradicts: its scheme's symmetric is "
                f"{str(scheme.symmetric).lower()}; one of both is of another model"
            )
        if zero is not None and not scheme.symmetric:
            if zero.dtype == np.int32:  # packed along the output features
                words = (-(-rows // (32 // bits)), count)
                self._agree(name, "weight_zero_point", zero, words, stated)
                zero = unpack_words(zero.T, bits, rows).T - half
            if zero.size == rows * count:
                zero = zero.reshape(rows, count)
            self._agree(name, "weight_zero_point", zero, (rows, count), stated)
            zero = np.broadcast_to(zero, (n, count)).astype(np.int16)
            codes = codes - zero.T[index]
        return QuantisedWeight(codes, np.ascontiguousarray(scale.T), index, f"{bits} bits")
