"""N:M sparse weights, in the order the engine eats them."""

import numpy as np
import numpy.typing as npt

from summand.isa.config import EngineConfig
from summand.isa.errors import SummandError
from summand.isa.patterns import IndexForm, SparsePattern
from summand.isa.planes import pack_planes, padded_shape, unpack_planes
from summand.isa.rounding import ceil_div

__all__ = ["SparseError", "pack_sparse", "unpack_sparse"]


class SparseError(SummandError, ValueError):
    """Weights that are not as sparse as their pattern says."""


def pack_sparse(
    weights: npt.NDArray[np.integer], planes: int, kept: int, config: EngineConfig
) -> npt.NDArray[np.uint8]:
    """Cut two's complement weights into each tile's index and planes.

    Parameters
    ----------
    weights : integer array, shape ``[K, N]``
        Each within ``planes`` bits, two's complement. Padded with zeros to whole slices and tiles.
    planes : int
        1 to 8.
    kept : int
        Of the ``config.sparse_block`` weights of a block at most so many are not zero; 1 to
        ``sparse_block - 1``.

    Returns
    -------
    uint8 array, shape ``[slices, beats * beat_bytes]``
        All tiles of a slice, filled up to whole beats. Where a block has fewer weights that are not
        zero, the first zeros are kept too.

    Raises
    ------
    SparseError
        If a block has more than ``kept`` weights that are not zero.
    ValueError
        If a weight does not fit.
    """
    pattern = SparsePattern(kept=kept, block=config.sparse_block)
    words = pack_planes(weights, planes, config)
    k, n = weights.shape
    slices, tiles = padded_shape(k, n, config)
    bits = np.unpackbits(words, axis=-1, bitorder="little")
    count = config.plane_bits // pattern.block
    blocks = bits.reshape(slices, tiles, planes, count, pattern.block)
    used = blocks.any(axis=2)  # [slices, tiles, blocks, places]
    most = used.sum(axis=-1).max(initial=0)
    if most > kept:
        raise SparseError(
            f"a block of {pattern.block} weights has {most} that are not zero, more than the "
            f"{kept} of its {kept}:{pattern.block} pattern; prune it, or keep more"
        )
    order = np.argsort(~used, axis=-1, kind="stable")  # places of weights that are not zero first
    places = np.sort(order[..., :kept], axis=-1)
    values = np.take_along_axis(blocks, places[:, :, None], axis=-1)
    chunks = np.concatenate(
        [
            _index_chunks(places, np.sort(order[..., kept:], axis=-1), pattern),
            values.transpose(0, 1, 2, 4, 3).reshape(slices, tiles, planes * kept, count),
        ],
        axis=2,
    )
    out = np.zeros((slices, _slice_bits(tiles, planes, pattern, config)), np.uint8)
    used_bits = tiles * pattern.tile_chunks(planes) * count
    out[:, :used_bits] = chunks.reshape(slices, used_bits)
    return np.packbits(out, axis=-1, bitorder="little")


def unpack_sparse(
    raw: npt.NDArray[np.uint8], tiles: int, planes: int, kept: int, config: EngineConfig
) -> npt.NDArray[np.int8]:
    """Return the weights that an engine finds in any bytes; undoes :func:`pack_sparse`.

    Takes shape ``[slices, beats * beat_bytes]``, returns int8 of shape
    ``[slices * depth, tiles * cols]``.
    """
    pattern = SparsePattern(kept=kept, block=config.sparse_block)
    slices, blocks = len(raw), config.plane_bits // pattern.block
    tile_chunks = pattern.tile_chunks(planes)
    bits = np.unpackbits(raw, axis=-1, bitorder="little")
    chunks = bits[:, : tiles * tile_chunks * blocks].reshape(slices, tiles, tile_chunks, blocks)
    mask = _kept_places(chunks[:, :, : pattern.index_chunks], pattern)
    rank = np.cumsum(mask, axis=-1) - mask  # [slices, tiles, blocks, places]
    valued = mask & (rank < kept)
    values = chunks[:, :, pattern.index_chunks :].reshape(slices, tiles, planes, kept, blocks)
    source = np.minimum(rank, kept - 1)[:, :, None]
    found = np.take_along_axis(values.transpose(0, 1, 2, 4, 3), source, axis=-1)
    words = np.where(valued[:, :, None], found, 0).astype(np.uint8)
    words = words.reshape(slices, tiles, planes, config.plane_bits)
    packed = np.packbits(words, axis=-1, bitorder="little")
    return unpack_planes(packed, config)


def _slice_bits(tiles: int, planes: int, pattern: SparsePattern, config: EngineConfig) -> int:
    beats = ceil_div(tiles * pattern.tile_chunks(planes), config.beat_chunks)
    return beats * config.stream_bits


def _index_chunks(
    places: npt.NDArray[np.int64], holes: npt.NDArray[np.int64], pattern: SparsePattern
) -> npt.NDArray[np.uint8]:
    """Return the index of kept ``places``, shape ``[slices, tiles, chunks, blocks]``."""
    if pattern.index_form is IndexForm.MASK:
        bits = (places[..., None] == np.arange(pattern.block)).any(axis=-2)
    else:
        named = places if pattern.index_form is IndexForm.POSITIONS else holes
        bits = named[..., None] >> np.arange(pattern.place_bits) & 1
        bits = bits.reshape(*named.shape[:-1], pattern.index_chunks)
    return bits.swapaxes(-1, -2).astype(np.uint8)


def _kept_places(index: npt.NDArray[np.uint8], pattern: SparsePattern) -> npt.NDArray[np.bool_]:
    """Return which places an index says are kept, shape ``[slices, tiles, blocks, places]``."""
    bits = index.swapaxes(-1, -2)
    if pattern.index_form is IndexForm.MASK:
        return bits.astype(bool)
    fields = bits.reshape(*bits.shape[:-1], pattern.places, pattern.place_bits)
    named = (fields << np.arange(pattern.place_bits)).sum(axis=-1)
    union = (named[..., None] == np.arange(pattern.block)).any(axis=-2)
    return union if pattern.index_form is IndexForm.POSITIONS else ~union
