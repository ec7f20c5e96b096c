"""Integers of 1 to 8 bits, packed without gaps: how weights lie on disk."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.isa.patterns import SparsePattern
from summand.summands.base import Tensors
from summand.summands.errors import LayerError
from summand.summands.sparse import kept_values, spread_values

__all__ = ["pack", "packed_bytes", "packed_matrix", "read_matrix", "unpack"]


def packed_bytes(count: int, bits: int) -> int:
    """Return the bytes that ``count`` integers of ``bits`` take."""
    return -(-count * bits // 8)


def pack(values: npt.NDArray[np.int8], bits: int) -> npt.NDArray[np.uint8]:
    """Pack two's complement integers, row-major.

    Element ``i`` takes bits ``i * bits`` onwards, least significant first; bit 0 of a byte comes
    first. The last byte's spare bits are 0.
    """
    flat = np.ascontiguousarray(values, np.int8).reshape(-1).view(np.uint8)
    if bits == 8:
        return flat.copy()
    # In pieces of whole bytes: eight bytes of scratch for every element of a piece.
    step = 1 << 20
    pieces = []
    for i in range(0, len(flat), step):
        each = np.unpackbits(flat[i : i + step, None], axis=1, bitorder="little")[:, :bits]
        pieces.append(np.packbits(each.reshape(-1), bitorder="little"))
    return np.concatenate(pieces) if pieces else np.empty(0, np.uint8)


def unpack(
    packed: npt.NDArray[np.uint8], bits: int, shape: tuple[int, ...]
) -> npt.NDArray[np.int8]:
    """Undo :func:`pack`; raises ``ValueError`` if the size does not match ``shape``."""
    count = math.prod(shape)
    if packed.dtype != np.uint8 or packed.shape != (packed_bytes(count, bits),):
        raise ValueError(
            f"{count} integers of {bits} bits take {packed_bytes(count, bits)} bytes, "
            f"not {packed.dtype} of shape {packed.shape}"
        )
    if bits == 8:
        return packed.view(np.int8).reshape(shape).copy()
    out = np.empty(count, np.int8)
    step = 1 << 20
    spare = 8 - bits
    for i in range(0, count, step):
        piece = min(step, count - i)
        part = packed[i * bits // 8 : i * bits // 8 + packed_bytes(piece, bits)]
        each = np.zeros((piece, 8), np.uint8)
        bits_of = np.unpackbits(part, count=piece * bits, bitorder="little")
        each[:, spare:] = bits_of.reshape(piece, bits)
        out[i : i + piece] = (
            np.packbits(each, axis=1, bitorder="little")[:, 0].view(np.int8) >> spare
        )
    return out.reshape(shape)


def packed_matrix(
    matrix: npt.NDArray[np.int8], bits: int, pattern: SparsePattern | None
) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a matrix ``[K, N]``: ``weights``, and with a pattern ``positions``.

    With a pattern only kept weights are there; see :func:`~summand.summands.sparse.kept_values`.
    """
    if pattern is None:
        return {"weights": pack(matrix, bits)}
    values, positions = kept_values(matrix, pattern)
    return {
        "weights": pack(values, bits),
        "positions": pack(positions, pattern.place_bits),
    }


def read_matrix(
    tensors: Tensors, bits: int, pattern: SparsePattern | None, in_features: int, out_features: int
) -> npt.NDArray[np.int8]:
    """Undo :func:`packed_matrix`.

    Raises
    ------
    LayerError, ValueError
        If the tensors do not fit the sizes, or positions do not ascend.
    """
    if pattern is None:
        return tensors.packed("weights", bits, (in_features, out_features))
    if in_features % pattern.block:
        raise LayerError(
            f"pattern {pattern} needs a multiple of {pattern.block} input features, "
            f"not {in_features}"
        )
    shape = (in_features // pattern.block * pattern.kept, out_features)
    values = tensors.packed("weights", bits, shape)
    packed = tensors.packed("positions", pattern.place_bits, shape)
    return spread_values(values, packed & (pattern.block - 1), pattern)
