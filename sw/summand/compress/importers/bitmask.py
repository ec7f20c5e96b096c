"""compressed-tensors' ``sparse-bitmask`` and ``sparse-24-bitmask``: a bit a weight, and values."""

from typing import Any

import numpy as np
import numpy.typing as npt

from summand.compress.errors import CompressError
from summand.compress.importers.compressed import CompressedTensors
from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.weight import QuantisedWeight
from summand.isa.patterns import SparsePattern
from summand.summands.sparse import is_sparse

__all__ = ["BITMASKS", "BitmaskCheckpoint"]

#: ``format`` of ``sparsity_config``, each with its pattern, if all its layers have one.
BITMASKS = {"sparse-bitmask": None, "sparse-24-bitmask": SparsePattern(kept=2, block=4)}


class BitmaskCheckpoint(CompressedTensors):
    """A folder in which compressed-tensors left out zeros.

    A layer ``x`` has ``x.bitmask`` uint8 ``[N, ceil(K / 8)]``, bit 0 of a byte first, which says
    which weights are kept; ``x.compressed``, the kept ones, row after row; ``x.shape``, N and K;
    and with ``sparse-bitmask`` ``x.row_offsets`` ``[N]``, where each row begins in these. Kept
    weights are in floating point, or int8 with ``x.weight_scale`` (``int-quantized``).
    """

    _INTEGERS = "bitmask"
    _WORDS = np.uint8
    _PARTS = frozenset(
        ("bitmask", "compressed", "shape", "row_offsets", "weight_scale", "weight_zero_point")
    )
    _FORMAT = "int-quantized"
    _SPARSE = BITMASKS

    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer of integers."""
        if self._is_float(name):
            raise NotHeldError("its weights are in floating point, though sparse")
        scheme = self._rules.scheme(name)
        zero = self._tensors.find(f"{name}.weight_zero_point")
        if not scheme.symmetric or (zero is not None and zero.any()):
            raise NotHeldError("weights that were left out would not be 0 with zero points")
        codes = self._kept(name)
        if codes.dtype != np.int8:
            raise CompressError(f"layer {name}: its compressed must be int8, not {codes.dtype}")
        top = 1 << (scheme.bits - 1)
        if scheme.bits > 8 or codes.min() < -top or codes.max() >= top:
            raise CompressError(
                f"layer {name} has integers {codes.min()} to {codes.max()}, which {scheme.bits} "
                f"bits, as config.json has it, do not hold; one of both is of another model"
            )
        scale, index = self._scales(name, scheme, *codes.shape)
        pattern = BITMASKS[self._rules.sparse] or self._rules.pattern
        if pattern is not None and not is_sparse(codes.T, pattern):
            pattern = None
        return QuantisedWeight(
            np.ascontiguousarray(codes.T, np.int16),
            np.ascontiguousarray(scale.T),
            index,
            f"{scheme.bits} bits" + (f", {pattern}" if pattern else ""),
            pattern=pattern,
        )

    def matrix(self, name: str) -> npt.NDArray[np.float32]:
        """Return what a layer stands for, float32 ``[K, N]``."""
        if not self._is_float(name):
            return super().matrix(name)
        if self._tensors.find(f"{name}.weight_scale") is not None:
            raise CompressError(
                f"layer {name} has a weight_scale, but its kept weights are in floating point, "
                f"which cannot be read; give the model before it was quantised"
            )
        return np.ascontiguousarray(self._kept(name).T, np.float32)

    def _is_float(self, name: str) -> bool:
        return self._tensors.tensor(f"{name}.compressed").is_floating_point()

    def _kept(self, name: str) -> npt.NDArray[Any]:
        """Return a layer's weights ``[N, K]``, zeros put in."""
        get = self._tensors.get
        shape = get(f"{name}.shape").reshape(-1)
        if shape.size != 2 or (shape < 1).any():
            raise CompressError(
                f"layer {name}: its shape must be two sizes, not {shape.tolist()[:4]}; the "
                f"checkpoint is damaged"
            )
        n, k = (int(v) for v in shape)
        packed, values = get(f"{name}.bitmask"), get(f"{name}.compressed")
        self._agree(name, "bitmask", packed, (n, -(-k // 8)), f"{n} outputs of {k} inputs")
        mask = np.unpackbits(packed, axis=1, count=k, bitorder="little").astype(bool)
        if mask.sum() != values.size:
            raise CompressError(
                f"layer {name} has {values.size} kept weights, but its bitmask names "
                f"{mask.sum()}; the checkpoint is damaged"
            )
        self._check_blocks(name, mask)
        self._check_rows(name, mask)
        full = np.zeros((n, k), values.dtype)
        full[mask] = values.reshape(-1)
        return full

    def _check_blocks(self, name: str, mask: npt.NDArray[np.bool_]) -> None:
        """Refuse more kept weights in a block than the format's pattern allows."""
        pattern = BITMASKS[self._rules.sparse]
        if pattern is None:
            return
        n, k = mask.shape
        if k % pattern.block:
            raise CompressError(
                f"layer {name} has {k} inputs, which are no blocks of {pattern.block}, but "
                f"config.json says {self._rules.sparse}; the checkpoint is damaged"
            )
        counts = mask.reshape(n, -1, pattern.block).sum(axis=2)
        if (wrong := np.argwhere(counts > pattern.kept)).size:
            row, block = wrong[0]
            raise CompressError(
                f"layer {name}: its bitmask keeps {counts[row, block]} of the inputs "
                f"{block * pattern.block} to {(block + 1) * pattern.block - 1} of output {row}, "
                f"but {self._rules.sparse} keeps {pattern.kept}; the checkpoint is damaged"
            )

    def _check_rows(self, name: str, mask: npt.NDArray[np.bool_]) -> None:
        """Refuse row offsets that the bitmask does not make."""
        offsets = self._tensors.find(f"{name}.row_offsets")
        if offsets is None:
            return
        counts = mask.sum(axis=1)
        if not np.array_equal(offsets.reshape(-1), np.cumsum(counts) - counts):
            raise CompressError(
                f"layer {name}: its row_offsets are not those of its bitmask; the checkpoint is "
                f"damaged"
            )
