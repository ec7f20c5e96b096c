import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.summands.packing import pack, packed_bytes, unpack


@given(st.integers(1, 8), st.integers(0, 70), st.integers(0, 10**6))
def test_unpack_undoes_pack(bits, count, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), count).astype(np.int8)
    packed = pack(values, bits)
    assert packed.shape == (packed_bytes(count, bits),)
    np.testing.assert_array_equal(unpack(packed, bits, (count,)), values)


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_more_than_one_piece(bits):
    """Large matrices are packed in pieces, which must join without a gap."""
    rng = np.random.default_rng(bits)
    shape = (1031, 2053)
    values = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape).astype(np.int8)
    np.testing.assert_array_equal(unpack(pack(values, bits), bits, shape), values)


def test_layout_is_as_documented():
    """Element i takes bits 3i onwards, least significant first."""
    values = np.array([[1, -1], [-4, 2]], np.int8)
    stream = 0b001 | 0b111 << 3 | 0b100 << 6 | 0b010 << 9
    assert pack(values, 3).tobytes() == stream.to_bytes(2, "little")


def test_another_size_is_refused():
    with pytest.raises(ValueError, match=r"10 integers of 3 bits take 4 bytes.*\(5,\)"):
        unpack(np.zeros(5, np.uint8), 3, (10,))
