import pytest

from summand.isa.beats import beats, pad

from .examples import CONFIG


def test_padding_fills_the_beat():
    assert pad(b"abcde", CONFIG) == b"abcde\0\0\0"
    assert pad(b"", CONFIG) == b""
    assert pad(bytes(8), CONFIG) == bytes(8)


@pytest.mark.parametrize(("nbytes", "count"), [(0, 0), (1, 1), (8, 1), (9, 2)])
def test_a_beat_begun_counts(nbytes, count):
    assert beats(nbytes, CONFIG) == count
