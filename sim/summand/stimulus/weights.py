"""Random weights of a walk's segments, as bytes."""

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.segments import Segment
from summand.isa.sparse import pack_sparse
from summand.stimulus.values import plane_words, signed_values

__all__ = ["segment_bytes"]


def segment_bytes(
    rng: np.random.Generator,
    segments: tuple[Segment, ...],
    live: npt.NDArray[np.bool_],
    config: EngineConfig,
) -> npt.NDArray[np.uint8]:
    """Return the beats of all slices, uint8 of shape ``[slices, bytes]``.

    Weights are zero where ``live``, of shape ``[slices, depth]``, is not set.
    """
    return np.concatenate([_segment(rng, s, live, config) for s in segments], axis=1)


def _segment(
    rng: np.random.Generator, segment: Segment, live: npt.NDArray[np.bool_], config: EngineConfig
) -> npt.NDArray[np.uint8]:
    slices = len(live)
    size = segment.beats(config) * config.beat_bytes
    if not segment.kept:
        mask = np.tile(np.packbits(live, axis=1, bitorder="little"), (1, config.cols))
        words = plane_words(rng, (slices * segment.words, mask.shape[1]))
        return (words.reshape(slices, -1, mask.shape[1]) & mask[:, None]).reshape(slices, size)
    if live.all() and rng.random() < 0.5:  # any bits mean something
        beats = plane_words(rng, (slices * segment.beats(config), config.beat_bytes))
        return beats.reshape(slices, size)
    return pack_sparse(_sparse(rng, segment, live, config), segment.planes, segment.kept, config)


def _sparse(
    rng: np.random.Generator, segment: Segment, live: npt.NDArray[np.bool_], config: EngineConfig
) -> npt.NDArray[np.int64]:
    """Return weights of shape ``[slices * depth, tiles * cols]`` that fit the segment's pattern."""
    shape = (live.size, segment.tiles * config.cols)
    weights = signed_values(rng, segment.planes, live.size * shape[1]).reshape(shape)
    blocks = rng.random(shape).reshape(-1, config.sparse_block, shape[1])
    dropped = blocks.argsort(axis=1).argsort(axis=1) >= segment.kept
    weights[dropped.reshape(shape) | ~live.reshape(-1, 1)] = 0
    return weights
