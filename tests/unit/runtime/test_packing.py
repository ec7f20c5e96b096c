"""Strips of summands as beats."""

import numpy as np

from summand.isa import EngineConfig
from summand.isa.sparse import unpack_sparse
from summand.runtime.packing import Packing
from summand.schedule.steps import Matrix, Strip
from summand.summands.dense import Dense

CONFIG = EngineConfig(cols=4, depth=16, stream_bits=32, act_depth=8, sparse_block=8)


def test_a_sparse_strip_has_its_own_tiles_and_is_packed_once():
    rng = np.random.default_rng(0)
    weights = rng.integers(-4, 4, (40, 22)).astype(np.int8)
    weights.reshape(10, 4, 22)[:, 2:] = 0  # 2:4, so 4:8
    summand = Dense(weights, 3)
    packing = Packing(CONFIG)
    strip = Strip(Matrix(0, 0, "direct"), 2, 10, 4, 3, kept=4)
    raw = packing.strip(summand, strip, slice(1, 3))
    found = unpack_sparse(raw, 4, 3, 4, CONFIG)
    want = np.zeros((48, 24), int)
    want[:40, :22] = weights
    np.testing.assert_array_equal(found, want[16:, 8:])
    assert packing.strip(summand, strip, slice(0, 3)).base is raw.base


def test_a_dense_strip_is_cut_out_of_the_summands_words():
    rng = np.random.default_rng(1)
    summand = Dense(rng.integers(-4, 4, (40, 22)).astype(np.int8), 3)
    packing = Packing(CONFIG)
    words = packing.words(summand, "direct")
    strip = Strip(Matrix(0, 0, "direct"), 2, 10, 4, 3)
    raw = packing.strip(summand, strip, slice(1, 3))
    np.testing.assert_array_equal(raw, words[1:3, 2:6].reshape(2, -1))
