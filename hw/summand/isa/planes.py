"""Weights as bit-planes, in the order the engine eats them."""

import numpy as np
import numpy.typing as npt

from summand.isa.config import EngineConfig

__all__ = ["pack_planes", "padded_shape", "unpack_planes"]


def padded_shape(k: int, n: int, config: EngineConfig) -> tuple[int, int]:
    """Return ``(slices, tiles)`` that hold a ``[k, n]`` matrix."""
    return -(-k // config.depth), -(-n // config.cols)


def pack_planes(
    weights: npt.NDArray[np.integer], planes: int, config: EngineConfig
) -> npt.NDArray[np.uint8]:
    """Cut two's complement weights into plane words.

    Parameters
    ----------
    weights : integer array, shape ``[K, N]``
        Each within ``planes`` bits, two's complement. Padded with zeros to whole slices and tiles.
    planes : int
        1 to 8.

    Returns
    -------
    uint8 array, shape ``[slices, tiles, planes, plane_bits / 8]``
        Most significant plane first. Bit ``c * depth + d`` of a word, counted from bit 0 of its
        first byte, belongs to column ``c`` of the tile and activation ``d`` of the slice.

    Raises
    ------
    ValueError
        If a weight does not fit.
    """
    weights = np.asarray(weights)
    low, high = -(1 << (planes - 1)), (1 << (planes - 1)) - 1
    if weights.size and (weights.min() < low or weights.max() > high):
        raise ValueError(f"weights must be {low} to {high} to fit {planes} planes")
    k, n = weights.shape
    slices, tiles = padded_shape(k, n, config)
    # uint8 keeps the low `planes` bits of a negative weight's two's complement.
    full = np.zeros((tiles * config.cols, slices * config.depth), np.uint8)
    full[:n, :k] = weights.T.astype(np.int8).view(np.uint8)
    split = full.reshape(tiles, config.cols, slices, config.depth)
    out = np.empty((slices, tiles, planes, config.plane_bits // 8), np.uint8)
    for p in range(planes):
        bits = np.packbits((split >> (planes - 1 - p)) & 1, axis=-1, bitorder="little")
        out[:, :, p] = bits.transpose(2, 0, 1, 3).reshape(slices, tiles, out.shape[-1])
    return out


def unpack_planes(words: npt.NDArray[np.uint8], config: EngineConfig) -> npt.NDArray[np.int8]:
    """Undo :func:`pack_planes`, padding included.

    Takes shape ``[slices, tiles, planes, plane_bits / 8]``, returns int8 of shape
    ``[slices * depth, tiles * cols]``.
    """
    slices, tiles, planes, _ = words.shape
    value = np.zeros((slices, tiles, config.plane_bits), np.uint8)
    for p in range(planes):
        value = (value << 1) | np.unpackbits(words[:, :, p], axis=-1, bitorder="little")
    spare = 8 - planes
    signed = (value << spare).view(np.int8) >> spare
    split = signed.reshape(slices, tiles, config.cols, config.depth)
    return np.ascontiguousarray(
        split.transpose(0, 3, 1, 2).reshape(slices * config.depth, tiles * config.cols)
    )
