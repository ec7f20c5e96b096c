"""compressed-tensors' ``marlin-24``: 2:4 integers in the order of one GPU kernel."""

import numpy as np
import numpy.typing as npt

from summand.compress.errors import CompressError
from summand.compress.importers.compressed import CompressedTensors
from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.weight import QuantisedWeight
from summand.compress.importers.words import unpack_words
from summand.isa.patterns import SparsePattern

__all__ = ["MarlinCheckpoint"]

_PATTERN = SparsePattern(kept=2, block=4)

#: Rows and columns of the kernel's tiles, and integers whose order is the same throughout.
_TILE, _RUN = 16, 1024

#: Integers that share a word, in the order in which the kernel takes them out, by their width.
_WORDS = {4: (0, 2, 4, 6, 1, 3, 5, 7), 8: (0, 2, 1, 3)}

#: Scales that change places together where there are several groups.
_SCALES = np.arange(64).reshape(8, 2, 4).swapaxes(1, 2).reshape(-1)


class MarlinCheckpoint(CompressedTensors):
    """A folder in which compressed-tensors wrote 2:4 weights for the Marlin kernel.

    A layer ``x`` has ``x.weight_packed`` int32 ``[K / 32, N * bits / 2]``, the two kept integers of
    every four, ``2**(bits - 1)`` added, in tiles of 16 x 16 and within four of these in the
    kernel's order; ``x.meta`` int16, ``K * N / 16`` words, which have two positions of two bits for
    each four weights, in the order of CUTLASS's sparse products; and ``x.scale_packed``
    ``[G, N]``. Positions ascend.
    """

    _INTEGERS = "weight_packed"
    _PARTS = frozenset(("weight_packed", "scale_packed", "meta"))
    _FORMAT = "marlin-24"
    _SPARSE = ("dense", None)

    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer."""
        scheme = self._rules.scheme(name)
        bits, stated = scheme.bits, str(scheme)
        if bits not in _WORDS or not scheme.symmetric:
            raise NotHeldError(f"marlin-24 of {stated}; 4 and 8 bits without zero points are known")
        packed = self._tensors.get(f"{name}.weight_packed")
        rows, words = packed.shape if packed.ndim == 2 else (0, 0)
        k, n = 2 * _TILE * rows, words * (32 // bits) // _TILE
        self._agree(
            name, "weight_packed", packed, (k // 2 // _TILE, n * _TILE * bits // 32), stated
        )
        if not n or n % (_RUN // _TILE):
            raise CompressError(
                f"layer {name}: its weight_packed of shape {packed.shape} is no number of tiles; "
                f"the checkpoint is damaged"
            )
        count = -(-k // scheme.group) if scheme.group else 1
        scales = self._tensors.get(f"{name}.scale_packed")
        self._agree(name, "scale_packed", scales, (count, n), stated)
        if scheme.group and scheme.group < k // 2:
            ordered = np.empty_like(scales).reshape(-1, len(_SCALES))
            ordered[:, _SCALES] = scales.reshape(ordered.shape)
            scales = ordered.reshape(scales.shape)
        values = _values(packed, bits, k // 2, n)
        codes = np.zeros((n, k // 4, 4), np.int16)
        np.put_along_axis(codes, self._positions(name, n, k), values.T.reshape(n, -1, 2), axis=2)
        return QuantisedWeight(
            np.ascontiguousarray(codes.reshape(n, k).T),
            scales,
            np.arange(k) // (scheme.group or k),
            f"{bits} bits, {_PATTERN}",
            pattern=_PATTERN,
        )

    def _positions(self, name: str, n: int, k: int) -> npt.NDArray[np.int64]:
        """Return where the two kept of each four weights are, ``[N, K / 4, 2]``."""
        meta = self._tensors.get(f"{name}.meta")
        if meta.dtype != np.int16 or meta.size != n * k // 16:
            raise CompressError(
                f"layer {name}: its meta must be {n * k // 16} words of int16 for {n} outputs of "
                f"{k} inputs, not {meta.size} of {meta.dtype}; the checkpoint is damaged"
            )
        words = meta.reshape(-1).view(np.uint16)[_meta_order(n, k // 16)]
        fields = words[:, :, None] >> np.arange(0, 16, 2, dtype=np.uint16) & 3
        found = fields.reshape(n, k // 4, 2).astype(np.int64)
        if (wrong := np.argwhere(found[:, :, 0] >= found[:, :, 1])).size:
            row, block = wrong[0]
            raise CompressError(
                f"layer {name}: its meta names positions {found[row, block, 0]} and "
                f"{found[row, block, 1]} among inputs {4 * block} to {4 * block + 3} of output "
                f"{row}, which do not ascend; the checkpoint is damaged"
            )
        return found


def _values(packed: npt.NDArray[np.int32], bits: int, k: int, n: int) -> npt.NDArray[np.int16]:
    """Return the kept integers, ``[K / 2, N]``, ``k`` being half of K."""
    stored = unpack_words(packed, bits, n * _TILE) - (1 << (bits - 1))
    runs = np.empty_like(stored).reshape(-1, _RUN)
    runs[:, _run_order(bits)] = stored.reshape(runs.shape)
    tiles = runs.reshape(k // _TILE, n // _TILE, _TILE, _TILE)
    return tiles.swapaxes(1, 2).reshape(k, n)


def _run_order(bits: int) -> npt.NDArray[np.int64]:
    """Return where in four tiles, row by row, each integer of a run belongs."""
    thread = np.arange(32)[:, None, None, None]
    column = np.arange(4)[None, :, None, None]
    half = np.arange(2)[None, None, :, None]
    row = np.array([0, 1, 8, 9]) + 2 * (thread % 4)
    tile, side = thread // 8, thread // 4 % 2
    places = (256 * tile + 16 * row + 8 * side + 4 * half + column).reshape(-1, len(_WORDS[bits]))
    return places[:, list(_WORDS[bits])].reshape(-1)


def _meta_order(rows: int, columns: int) -> npt.NDArray[np.int64]:
    """Return where each word of positions is stored, ``[rows, columns]``."""
    row, column = np.arange(rows)[:, None], np.arange(columns)[None]
    # Within 64 rows: by their lowest bit, then the two above it and the three above these.
    low, middle, next_, high = row % 2, row // 2 % 2, row // 4 % 2, row % 64 // 8
    at = row // 64 * 64 + 2 * low + next_ + 32 * middle + 4 * high
    # Of each two rows and columns the corners change places.
    swap = (at % 2 == 0).astype(int) * (column % 2 == 1) - (at % 2 == 1) * (column % 2 == 0)
    at, column = at + swap, column - swap
    return column // 2 * rows * 2 + at * 2 + column % 2
