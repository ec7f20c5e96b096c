"""Bytes that wait to be sent."""

from hypothesis import given
from hypothesis import strategies as st

from summand.boards.link.chunks import ChunkQueue

STEPS = st.lists(
    st.one_of(st.lists(st.binary(max_size=9), max_size=4), st.integers(0, 20)), max_size=30
)


@given(STEPS)
def test_bytes_leave_in_the_order_in_which_they_came(steps):
    """In pieces that are as long as they may be, and cut anywhere."""
    queue, waiting = ChunkQueue(), b""
    for step in steps:
        if isinstance(step, int):
            piece = b"".join(queue.take(step))
            assert piece == waiting[:step]
            waiting = waiting[step:]
        else:
            queue.push(step)
            waiting += b"".join(step)
        assert len(queue) == len(waiting)
    queue.clear()
    assert not queue
    assert queue.take(1) == []


def test_chunks_are_not_copied():
    chunk = bytearray(b"abcd")
    queue = ChunkQueue()
    queue.push([memoryview(chunk)])
    chunk[2] = ord("x")
    assert b"".join(queue.take(3)) == b"abx"
