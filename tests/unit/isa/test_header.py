import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.isa import CommandError, EngineConfig, ErrorCode
from summand.isa.header import CHECK, Header

from .examples import CONFIG, FIXED, HEADERS, NARROW, WIDE


@FIXED
@given(HEADERS, st.sampled_from([NARROW, CONFIG, WIDE]))
def test_header_round_trip(header: Header, config: EngineConfig):
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
