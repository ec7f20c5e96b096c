"""Plane words decoded to matrices, and a memory of those decoded before."""

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.planes import unpack_planes
from summand.isa.scales import unpack_scales
from summand.isa.segments import Segment
from summand.isa.sparse import unpack_sparse
from summand.isa.walks import group_slices, scale_beats

__all__ = ["WeightCache", "decode_walk"]


def decode_walk(
    words: bytes, slices: int, segments: tuple[Segment, ...], group: int, config: EngineConfig
) -> npt.NDArray[np.float32]:
    """Decode the scales and plane words of a GEMM, ``group`` slices sharing scales.

    Returns float32 of shape ``[slices * depth, features]``: whole numbers, the segments side by
    side in the order of the table, ``tiles * cols`` columns each; weights times scales.
    """
    features = sum(s.tiles for s in segments) * config.cols
    out = np.empty((slices * config.depth, features), np.float32)
    slice_bytes = sum(s.beats(config) for s in segments) * config.beat_bytes
    scale_bytes = scale_beats(segments, config) * config.beat_bytes
    at = row = 0
    for count in group_slices(slices, group if scale_bytes else 0):
        rows = count * config.depth
        planes = words[at + scale_bytes :][: count * slice_bytes]
        part = out[row : row + rows]
        _decode_planes(planes, count, segments, part, config)
        if scale_bytes:
            part *= _scale_row(words[at : at + scale_bytes], segments, config)
        at += scale_bytes + len(planes)
        row += rows
    return out


def _scale_row(
    raw: bytes, segments: tuple[Segment, ...], config: EngineConfig
) -> npt.NDArray[np.float32]:
    """Return what each column of a walk is multiplied by, shape ``[features]``."""
    scales = unpack_scales(raw, sum(s.tiles for s in segments if s.scaled), config)
    scaled = np.repeat([s.scaled for s in segments], [s.tiles * config.cols for s in segments])
    row = np.ones(len(scaled), np.float32)
    row[scaled] = scales.reshape(-1)
    return row


def _decode_planes(
    words: bytes,
    slices: int,
    segments: tuple[Segment, ...],
    out: npt.NDArray[np.float32],
    config: EngineConfig,
) -> None:
    """Decode words of weights into ``out``, shape ``[slices * depth, features]``."""
    raw = np.frombuffer(words, np.uint8).reshape(slices, -1)
    at = column = 0
    for s in segments:
        size, width = s.beats(config) * config.beat_bytes, s.tiles * config.cols
        part = raw[:, at : at + size]
        found = out[:, column : column + width]
        if s.kept:
            found[:] = unpack_sparse(part, s.tiles, s.planes, s.kept, config)
        else:
            found[:] = unpack_planes(part.reshape(slices, s.tiles, s.planes, -1), config)
        if s.half_step:
            found *= 2
            found += 1
        at, column = at + size, column + width


_Key = tuple[bytes, int, int, tuple[tuple[int, int, bool, bool, int], ...]]


class WeightCache:
    """Decoded walks, the least recently used dropped first.

    The key is the plane words' content; where the caller sends the same ``bytes`` object again, as
    the runtime does for every token, finding it costs nothing, because ``bytes`` remember their
    hash and equality begins with identity.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine whose words they are.
    limit_bytes : int
        Most that the words and matrices held may take together. 0 holds none.
    """

    def __init__(self, config: EngineConfig, limit_bytes: int):
        self._config = config
        self._limit = limit_bytes
        self._held: OrderedDict[_Key, npt.NDArray[np.float32]] = OrderedDict()
        self._size = 0

    def get(
        self, words: bytes, slices: int, segments: tuple[Segment, ...], group: int = 0
    ) -> npt.NDArray[np.float32]:
        """Return :func:`decode_walk` of the arguments; the array must not be changed."""
        kinds = tuple((s.tiles, s.planes, s.scaled, s.half_step, s.kept) for s in segments)
        key = (words, slices, group, kinds)
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
            return found
        matrix = decode_walk(words, slices, segments, group, self._config)
        if len(words) + matrix.nbytes <= self._limit:
            self._held[key] = matrix
            self._size += len(words) + matrix.nbytes
            while self._size > self._limit:
                (old, *_), dropped = self._held.popitem(last=False)
                self._size -= len(old) + dropped.nbytes
        return matrix
