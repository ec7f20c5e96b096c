"""compressed-tensors' ``pack-quantized``: integers in words along the input features."""

import numpy as np

from summand.compress.errors import CompressError
from summand.compress.importers.compressed import CompressedTensors
from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.weight import QuantisedWeight
from summand.compress.importers.words import unpack_words
from summand.summands.sparse import is_sparse

__all__ = ["PackedCheckpoint"]

#: Widths for which every version of the format packs alike.
_WIDTHS = (1, 2, 4, 8)


class PackedCheckpoint(CompressedTensors):
    """A folder in which compressed-tensors wrote integer weights, symmetric or not.

    A layer ``x`` has ``x.weight_packed`` int32 ``[N, K * bits / 32]``, ``x.weight_shape``,
    ``x.weight_scale`` ``[N, G]``, and perhaps ``x.weight_zero_point`` and ``x.weight_g_idx``.
    Integers are stored with ``2**(bits - 1)`` added. Layers that are as sparse as the configuration
    says have its pattern.
    """

    _INTEGERS = "weight_packed"
    _PARTS = frozenset(
        f"weight_{part}" for part in ("packed", "shape", "scale", "zero_point", "g_idx")
    )
    _FORMAT = "pack-quantized"
    _SPARSE = ("dense", None)

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
        packed = get(f"{name}.weight_packed")
        n, k = (int(v) for v in get(f"{name}.weight_shape"))
        self._agree(name, "weight_packed", packed, (n, -(-k // (32 // bits))), stated)
        scale, index = self._scales(name, scheme, n, k)
        rows, count = (1 if scheme.strategy == "tensor" else n), scale.shape[1]
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
        pattern = self._rules.pattern
        if pattern is not None and not is_sparse(codes, pattern):
            pattern = None
        kind = f"{bits} bits" + (f", {pattern}" if pattern else "")
        return QuantisedWeight(codes, np.ascontiguousarray(scale.T), index, kind, pattern=pattern)
