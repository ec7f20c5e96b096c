import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden.queue import ByteQueue


@settings(deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=8)), st.lists(st.integers(0, 20)))
def test_bytes_come_out_in_order(pieces, sizes):
    queue = ByteQueue()
    for piece in pieces:
        queue.append(piece)
    data = b"".join(pieces)
    for size in sizes:
        taken = queue.take(min(size, len(queue)))
        assert taken == data[: len(taken)]
        data = data[len(taken) :]
        assert len(queue) == len(data)


def test_a_piece_taken_whole_is_the_object_put_in():
    queue = ByteQueue()
    piece = bytes(range(100))
    queue.append(b"abc")
    queue.append(piece)
    queue.append(memoryview(piece))
    assert queue.take(3) == b"abc"
    assert queue.take(100) is piece
    assert queue.take(100) is piece


def test_what_may_change_is_copied():
    queue = ByteQueue()
    source = bytearray(b"abcdef")
    queue.append(memoryview(source))
    queue.append(memoryview(bytes(source))[::-1])
    queue.append(np.arange(2, dtype=np.uint16).reshape(1, 2).data)
    source[:] = b"......"
    assert queue.take(len(queue)) == b"abcdeffedcba\x00\x00\x01\x00"


def test_too_much_is_refused():
    queue = ByteQueue()
    queue.append(b"abc")
    with pytest.raises(ValueError, match="at most the 3 held, not 4"):
        queue.take(4)
    queue.clear()
    assert len(queue) == 0
