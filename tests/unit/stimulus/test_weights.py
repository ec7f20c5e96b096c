"""Random weights: zero where they must be, and indices that no packer writes."""

import numpy as np
import pytest

from summand.golden.weights import decode_walk
from summand.isa import EngineConfig
from summand.isa.segments import Segment
from summand.isa.sparse import pack_sparse, unpack_sparse
from summand.stimulus.weights import segment_bytes

CONFIG = EngineConfig(cols=4, depth=16, stream_bits=32, acc_depth=16, sparse_block=8)


@pytest.mark.parametrize("kept", range(8))
def test_weights_are_zero_where_there_is_nothing_to_multiply(kept):
    rng = np.random.default_rng(kept)
    segments = tuple(
        Segment(tile=tile, tiles=2, planes=3, kept=k) for tile, k in ((0, kept), (4, 0))
    )
    for _ in range(20):
        live = rng.random((2, CONFIG.depth)) < 0.7
        raw = segment_bytes(rng, segments, live, CONFIG)
        found = decode_walk(raw.tobytes(), 2, segments, 0, CONFIG)
        assert not found[~live.reshape(-1)].any()
        assert found[live.reshape(-1)].any()


@pytest.mark.parametrize("kept", range(1, 8))
def test_some_indices_are_as_packed_and_some_are_not(kept):
    segment = Segment(tile=0, tiles=3, planes=2, kept=kept)
    rng = np.random.default_rng(kept)
    live = np.ones((1, CONFIG.depth), bool)
    packed = []
    for _ in range(30):
        raw = segment_bytes(rng, (segment,), live, CONFIG)
        found = unpack_sparse(raw, 3, 2, kept, CONFIG)
        packed.append(np.array_equal(pack_sparse(found, 2, kept, CONFIG), raw))
    assert {True, False} == set(packed)
