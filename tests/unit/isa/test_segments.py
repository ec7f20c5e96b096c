import struct
from dataclasses import replace

import pytest
from hypothesis import given

from summand.isa import CommandError, ErrorCode
from summand.isa.segments import Segment, decode_segments, encode_segments, segment_beats

from .examples import CONFIG, FIXED, NARROW, SEGMENTS, WIDE


@FIXED
@given(SEGMENTS)
def test_segment_round_trip(segment):
    raw = segment.encode()
    assert raw[6:] == bytes([segment.kept, 0])
    assert Segment.decode(raw) == segment
    assert segment.words == segment.tiles * segment.planes


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ((0, 1, 1, 4, 0), ErrorCode.RESERVED),
        ((0, 1, 1, 16, 0), ErrorCode.RESERVED),
        ((0, 1, 1, 0, 8), ErrorCode.RESERVED),
        ((0, 1, 1, 0, 0x101), ErrorCode.RESERVED),
        ((0, 1, 1, 8, 1), ErrorCode.RESERVED),
        ((0, 0, 1, 0, 0), ErrorCode.TILES),
        ((1, 64, 1, 0, 0), ErrorCode.TILES),
        ((0, 1, 0, 0, 0), ErrorCode.SEGMENTS),
        ((0, 1, 9, 0, 0), ErrorCode.SEGMENTS),
    ],
)
def test_bad_segments_are_refused(fields, code):
    with pytest.raises(CommandError) as caught:
        decode_segments(struct.pack("<HHBBH", *fields), 1, CONFIG)
    assert caught.value.code == code


_PLAIN = Segment(tile=0, tiles=1, planes=1)


@pytest.mark.parametrize(
    "segment",
    [replace(_PLAIN, shift=True), replace(_PLAIN, half_step=True), replace(_PLAIN, kept=7)],
)
def test_a_feature_needs_an_engine_that_has_it(segment):
    segment.validate(CONFIG)
    with pytest.raises(CommandError) as caught:
        segment.validate(NARROW)
    assert caught.value.code == ErrorCode.RESERVED


@pytest.mark.parametrize(("tile", "good"), [(0, False), (1, False), (2, True), (5, True)])
def test_segments_ascend(tile, good):
    table = (Segment(tile=0, tiles=2, planes=1), Segment(tile=tile, tiles=1, planes=1))
    raw = encode_segments(table, CONFIG)
    if good:
        assert decode_segments(raw, 2, CONFIG) == table
        return
    with pytest.raises(CommandError) as caught:
        decode_segments(raw, 2, CONFIG)
    assert caught.value.code == ErrorCode.TILES


@pytest.mark.parametrize(("config", "beats"), [(NARROW, 6), (CONFIG, 3), (WIDE, 1)])
def test_tables_fill_whole_beats(config, beats):
    assert segment_beats(3, config) == beats
    table = [Segment(tile=n, tiles=1, planes=1) for n in range(3)]
    assert len(encode_segments(table, config)) == beats * config.beat_bytes
