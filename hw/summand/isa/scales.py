"""Group scales as beats, in the order the engine eats them."""

import numpy as np
import numpy.typing as npt

from summand.isa.config import EngineConfig

__all__ = ["pack_scales", "unpack_scales"]


def pack_scales(scales: npt.NDArray[np.integer], config: EngineConfig) -> bytes:
    """Pack one group's scales.

    Parameters
    ----------
    scales : integer array, shape ``[tiles, cols]``
        0 to ``2**scale_bits - 1``, for the scaled segments' tiles in the order of the walk.

    Returns
    -------
    bytes
        Whole beats: ``scale_tiles`` tiles in each from bit 0 on, column 0 lowest, the rest zero.

    Raises
    ------
    ValueError
        If a scale does not fit.
    """
    top = (1 << config.scale_bits) - 1
    if scales.size and (scales.min() < 0 or scales.max() > top):
        raise ValueError(f"scales must be 0 to {top} to fit {config.scale_bits} bits")
    tiles, cols = scales.shape
    if not tiles:
        return b""
    beats = -(-tiles // config.scale_tiles)
    full = np.zeros((beats * config.scale_tiles, cols), np.uint8)
    full[:tiles] = scales
    bits = np.unpackbits(full[..., None], axis=-1, count=config.scale_bits, bitorder="little")
    used = config.scale_tiles * config.cols * config.scale_bits
    padded = np.zeros((beats, config.stream_bits), np.uint8)
    padded[:, :used] = bits.reshape(beats, used)
    return np.packbits(padded, axis=-1, bitorder="little").tobytes()


def unpack_scales(raw: bytes, tiles: int, config: EngineConfig) -> npt.NDArray[np.uint8]:
    """Undo :func:`pack_scales`; the unused bits of a beat may hold anything.

    Returns uint8 of shape ``[tiles, cols]``.
    """
    if not tiles:
        return np.zeros((0, config.cols), np.uint8)
    beats = np.frombuffer(raw, np.uint8).reshape(-1, config.beat_bytes)
    used = config.scale_tiles * config.cols * config.scale_bits
    bits = np.unpackbits(beats, axis=-1, bitorder="little")[:, :used]
    split = bits.reshape(-1, config.cols, config.scale_bits)
    return np.packbits(split, axis=-1, bitorder="little")[:tiles, :, 0]
