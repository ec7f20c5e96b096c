import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.isa import CommandError, ErrorCode
from summand.isa.borders import Border, check_borders, decode_borders, encode_table, stretches
from summand.isa.segments import Segment

from .examples import BORDERS, CONFIG, FIXED, NARROW

PLAIN = (Segment(tile=0, tiles=1, planes=1, clear=True),)
SHIFTED = (*PLAIN, Segment(tile=1, tiles=1, planes=1, shift=True))


def decoded(raw: bytes, slices: int = 8, segments: tuple[Segment, ...] = PLAIN):
    table = b"".join(s.encode() for s in segments) + raw
    return decode_borders(table, len(raw) // 8, slices, segments, CONFIG)


@FIXED
@given(BORDERS)
def test_border_round_trip(border):
    raw = border.encode()
    assert raw == struct.pack("<HBBI", border.slice, border.shift, 0, 0)
    assert Border.decode(raw) == border


@pytest.mark.parametrize(
    "fields",
    [(0, 0, 0, 0), (0, 4, 0, 0), (0, 1, 1, 0), (0, 1, 0, 1), (0, 1, 0, 1 << 24), (8, 1, 0, 0)],
)
def test_bad_borders_are_refused(fields):
    assert decoded(struct.pack("<HBBI", 0, 3, 0, 0)) == (Border(0, 3),)
    with pytest.raises(CommandError) as caught:
        decoded(struct.pack("<HBBI", *fields))
    assert caught.value.code == ErrorCode.RESERVED


@pytest.mark.parametrize("slices", [(0, 0), (3, 3), (3, 2), (0, 5, 4)])
def test_borders_ascend(slices):
    borders = [Border(n, 1) for n in slices]
    with pytest.raises(CommandError):
        decoded(b"".join(b.encode() for b in borders))
    with pytest.raises(CommandError):
        check_borders(borders, 8, PLAIN, CONFIG)
    assert decoded(b"".join(b.encode() for b in sorted(set(borders), key=lambda b: b.slice)))


def test_a_border_at_slice_0_leaves_no_room_for_a_shift_flag():
    table = encode_table(SHIFTED, [Border(1, 1)], CONFIG)
    assert decode_borders(table, 1, 8, SHIFTED, CONFIG) == (Border(1, 1),)
    with pytest.raises(CommandError):
        decoded(Border(0, 1).encode(), segments=SHIFTED)


def test_an_engine_without_borders_refuses_them():
    with pytest.raises(CommandError):
        check_borders([Border(0, 1)], 8, PLAIN, NARROW)


@FIXED
@given(st.sets(st.integers(0, 19)), st.integers(20, 30))
def test_stretches_are_the_slices_between_borders(places, slices):
    borders = [Border(place, place % 3 + 1) for place in sorted(places)]
    found = stretches(slices, borders)
    assert [n for s in found for n in range(s.start, s.stop)] == list(range(slices))
    assert [Border(s.start, s.shift) for s in found if s.shift] == borders
    assert all(s.shift for s in found[1:])
