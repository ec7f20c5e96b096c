"""Matrices with N:M patterns: packed and unpacked, and refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa.patterns import SparsePattern
from summand.summands.errors import LayerError
from summand.summands.packing import packed_bytes, packed_matrix, read_matrix, unpack
from summand.summands.sparse import check_sparse, is_sparse, kept_values, spread_values

PATTERNS = st.sampled_from([4, 8, 16]).flatmap(
    lambda block: st.builds(SparsePattern, kept=st.integers(1, block - 1), block=st.just(block))
)


def matrix(seed: int, pattern: SparsePattern, bits: int, blocks: int, n: int) -> np.ndarray:
    """Return a matrix of a pattern, some of whose blocks are emptier than they might be."""
    rng = np.random.default_rng(seed)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    cut = rng.integers(low, high + 1, (blocks, pattern.block, n), np.int8)
    rank = rng.permuted(np.broadcast_to(np.arange(pattern.block)[:, None], cut.shape), axis=1)
    cut[rank >= rng.integers(0, pattern.kept + 1, (blocks, 1, n))] = 0
    return cut.reshape(-1, n)


class Stored:
    """The tensors of a dictionary, as a file has them."""

    def __init__(self, tensors):
        self._tensors = tensors

    def tensor(self, name, dtype):
        return self._tensors[name]

    def packed(self, name, bits, shape):
        return unpack(self._tensors[name], bits, shape)


@settings(deadline=None)
@given(st.integers(0, 1 << 30), PATTERNS, st.integers(1, 8), st.integers(1, 5), st.integers(1, 6))
def test_what_is_packed_comes_back(seed, pattern, bits, blocks, n):
    weights = matrix(seed, pattern, bits, blocks, n)
    check_sparse("weights", weights, pattern)
    assert is_sparse(weights, pattern)
    tensors = packed_matrix(weights, bits, pattern)
    kept = blocks * pattern.kept * n
    assert tensors["weights"].size == packed_bytes(kept, bits)
    assert tensors["positions"].size == packed_bytes(kept, pattern.place_bits)
    read = read_matrix(Stored(tensors), bits, pattern, len(weights), n)
    assert read.dtype == np.int8
    assert np.array_equal(read, weights)


def test_a_block_with_fewer_weights_keeps_its_first_zeros():
    values, positions = kept_values(
        np.array([[0], [0], [0], [7]], np.int8), SparsePattern(kept=2, block=4)
    )
    assert values.tolist() == [[0], [7]]
    assert positions.tolist() == [[0], [3]]


def test_without_a_pattern_a_matrix_is_packed_whole():
    weights = np.arange(-4, 4, dtype=np.int8).reshape(4, 2)
    tensors = packed_matrix(weights, 3, None)
    assert tensors.keys() == {"weights"}
    assert np.array_equal(read_matrix(Stored(tensors), 3, None, 4, 2), weights)


def test_a_block_that_is_too_full_is_named():
    weights = np.zeros((8, 3), np.int8)
    weights[4:7, 2] = 1
    with pytest.raises(LayerError, match="features 4 to 7 of output 2, not 3"):
        check_sparse("weights", weights, SparsePattern(kept=2, block=4))
    assert not is_sparse(weights, SparsePattern(kept=2, block=4))
    assert is_sparse(weights, SparsePattern(kept=3, block=4))


def test_inputs_that_are_no_blocks_are_refused():
    pattern = SparsePattern(kept=1, block=4)
    weights = np.zeros((6, 1), np.int8)
    with pytest.raises(LayerError, match="of pattern 1:4 must have a multiple of 4 .* not 6"):
        check_sparse("weights", weights, pattern)
    assert not is_sparse(weights, pattern)
    with pytest.raises(LayerError, match="pattern 1:4 needs a multiple of 4 .* not 6"):
        read_matrix(Stored({}), 2, pattern, 6, 1)


@pytest.mark.parametrize(
    ("positions", "match"),
    [
        ([[1], [1]], "positions must ascend within each block of 4"),
        ([[2], [0]], "positions must ascend within each block of 4"),
        ([[0], [4]], "positions must be 0 to 3 in blocks of 4, not 0 to 4"),
    ],
)
def test_positions_that_repeat_or_leave_their_block_are_refused(positions, match):
    with pytest.raises(ValueError, match=match):
        spread_values(np.ones((2, 1), np.int8), np.array(positions), SparsePattern(kept=2, block=4))
