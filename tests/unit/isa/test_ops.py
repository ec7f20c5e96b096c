import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig, ErrorCode, ops
from summand.isa.ops import CHECK, CommandError, Header, Op, Segment

FIXED = settings(deadline=None, derandomize=True, max_examples=300)
NARROW = EngineConfig(cols=1, depth=32, stream_bits=32)
WIDE = EngineConfig(cols=8, depth=64, stream_bits=512)
CONFIG = EngineConfig(rows=4, cols=4, depth=64, stream_bits=64, acc_depth=64, act_depth=8, shift=2)

HALF = st.integers(0, 0xFFFF)
HEADERS = st.builds(
    Header,
    op=st.integers(0, 255),
    length=st.integers(0, 0xFFFFFFFF),
    a=HALF,
    b=HALF,
    c=HALF,
    d=HALF,
    flags=st.integers(0, 255),
)


@FIXED
@given(HEADERS, st.sampled_from([NARROW, CONFIG, WIDE]))
def test_header_round_trip(header, config):
    raw = header.encode(config)
    assert len(raw) == config.header_beats * config.beat_bytes
    assert not any(raw[16:])
    assert Header.decode(raw) == header


@FIXED
@given(HEADERS)
def test_header_layout(header):
    raw = header.encode(NARROW)
    assert raw[:2] == bytes([header.op, header.flags])
    assert struct.unpack_from("<IHHHH", raw, 4) == (
        header.length,
        header.a,
        header.b,
        header.c,
        header.d,
    )
    fold = 0
    for half in struct.unpack("<8H", raw):
        fold ^= half
    assert fold == CHECK


@FIXED
@given(HEADERS, st.integers(0, 127))
def test_one_wrong_bit_is_always_seen(header, bit):
    raw = bytearray(header.encode(NARROW))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CommandError) as caught:
        Header.decode(bytes(raw))
    assert caught.value.code == ErrorCode.CHECK


@pytest.mark.parametrize("raw", [bytes(16), b"\xff" * 16])
def test_a_dead_line_is_no_header(raw):
    with pytest.raises(CommandError):
        Header.decode(raw)


def code_of(header: Header) -> ErrorCode:
    try:
        header.validate(CONFIG)
    except CommandError as e:
        return e.code
    return ErrorCode.OK


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (Header(Op.LOAD, 4 * 8 * 8, 0, 8, 4), ErrorCode.OK),
        (Header(Op.LOAD, 8, 7, 1, 1), ErrorCode.OK),
        (Header(Op.LOAD, 8, 8, 1, 1), ErrorCode.ACTIVATIONS),
        (Header(Op.LOAD, 8, 0, 1, 5), ErrorCode.ROWS),
        (Header(Op.LOAD, 7, 0, 1, 1), ErrorCode.LENGTH),
        (Header(Op.LOAD, 8, 0, 1, 1, 1), ErrorCode.RESERVED),
        (Header(Op.GEMM, 1, 0, 8, 1), ErrorCode.OK),
        (Header(Op.GEMM, 16, 0, 8, 16), ErrorCode.OK),
        (Header(Op.GEMM, 15, 0, 8, 16), ErrorCode.LENGTH),
        (Header(Op.GEMM, 99, 0, 8, 17), ErrorCode.SEGMENTS),
        (Header(Op.GEMM, 99, 0, 9, 1), ErrorCode.ACTIVATIONS),
        (Header(Op.REQUANTISE, 128, 0, 64, 4, 0), ErrorCode.OK),
        (Header(Op.REQUANTISE, 128, 0, 64, 4, 4), ErrorCode.OK),
        (Header(Op.REQUANTISE, 128, 0, 64, 4, 5), ErrorCode.ACTIVATIONS),
        (Header(Op.REQUANTISE, 128, 1, 64, 4, 0), ErrorCode.TILES),
        (Header(Op.REQUANTISE, 127, 0, 64, 4, 0), ErrorCode.LENGTH),
        (Header(Op.STORE, 0, 0, 64, 4, 0xFFFF), ErrorCode.OK),
        (Header(Op.STORE, 1, 0, 64, 4), ErrorCode.LENGTH),
        (Header(Op.STORE, 0, 0, 65, 4), ErrorCode.TILES),
        (Header(Op.FENCE, 0, 0xFFFF), ErrorCode.OK),
        (Header(Op.FENCE, 0, 0, 1), ErrorCode.RESERVED),
        (Header(2), ErrorCode.OP),
    ],
)
def test_headers_are_checked_against_the_engine(header, code):
    assert code_of(header) == code


@FIXED
@given(HEADERS)
def test_any_header_is_accepted_or_refused(header):
    assert code_of(header) in ErrorCode


SEGMENTS = st.builds(
    Segment,
    tile=st.integers(0, 31),
    tiles=st.integers(1, 32),
    planes=st.integers(1, 8),
    clear=st.booleans(),
    shift=st.booleans(),
)


@FIXED
@given(SEGMENTS)
def test_segment_round_trip(segment):
    raw = segment.encode()
    assert raw[6:] == b"\0\0"
    assert Segment.decode(raw, CONFIG) == segment
    assert segment.words == segment.tiles * segment.planes


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ((0, 1, 1, 4, 0), ErrorCode.RESERVED),
        ((0, 1, 1, 0, 1), ErrorCode.RESERVED),
        ((0, 0, 1, 0, 0), ErrorCode.TILES),
        ((1, 64, 1, 0, 0), ErrorCode.TILES),
        ((0, 1, 0, 0, 0), ErrorCode.SEGMENTS),
        ((0, 1, 9, 0, 0), ErrorCode.SEGMENTS),
    ],
)
def test_bad_segments_are_refused(fields, code):
    with pytest.raises(CommandError) as caught:
        Segment.decode(struct.pack("<HHBBH", *fields), CONFIG)
    assert caught.value.code == code


def test_the_shift_flag_needs_a_shifter():
    raw = Segment(tile=0, tiles=1, planes=1, shift=True).encode()
    assert Segment.decode(raw, CONFIG).shift
    with pytest.raises(CommandError) as caught:
        Segment.decode(raw, NARROW)
    assert caught.value.code == ErrorCode.RESERVED


@settings(FIXED, max_examples=100)
@given(
    segments=st.lists(SEGMENTS, min_size=1, max_size=16).map(tuple),
    first=st.integers(0, 7),
    data=st.data(),
    rows=st.integers(1, 4),
)
def test_encoders_make_headers_the_engine_takes(segments, first, data, rows):
    count = data.draw(st.integers(1, 8 - first))
    load = ops.load(CONFIG, to_slice=first, slices=count, rows=rows)
    gemm = ops.gemm(CONFIG, from_slice=first, slices=count, segments=segments)
    requantise = ops.requantise(CONFIG, tile=first, tiles=count, rows=rows, to_slice=first)
    store = ops.store(CONFIG, tile=first, tiles=count, rows=rows, tag=99)
    fence = ops.fence(CONFIG, tag=99)
    for raw in (load, gemm, requantise, store, fence):
        Header.decode(raw).validate(CONFIG)
    header = Header.decode(gemm)
    table = len(gemm) // CONFIG.beat_bytes - CONFIG.header_beats
    assert table == ops.segment_beats(len(segments), CONFIG)
    assert header.length == table + count * sum(s.words for s in segments) * CONFIG.plane_beats
    for n, segment in enumerate(segments):
        assert Segment.decode(gemm[16 + 8 * n : 24 + 8 * n], CONFIG) == segment


@pytest.mark.parametrize(("config", "beats"), [(NARROW, 6), (CONFIG, 3), (WIDE, 1)])
def test_tables_fill_whole_beats(config, beats):
    assert ops.segment_beats(3, config) == beats


def test_padding_fills_the_beat():
    assert ops.pad(b"abcde", CONFIG) == b"abcde\0\0\0"
    assert ops.pad(b"", CONFIG) == b""
    assert ops.pad(bytes(8), CONFIG) == bytes(8)
