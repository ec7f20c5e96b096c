import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig, ErrorCode, StreamError
from summand.isa.packets import (
    Counters,
    Kind,
    PacketHeader,
    data_packet_bytes,
    status_packet_bytes,
)

FIXED = settings(deadline=None, derandomize=True, max_examples=200)
NARROW = EngineConfig(cols=1, depth=32, stream_bits=32)
WIDE = EngineConfig(cols=8, depth=64, stream_bits=512)
WORD = st.integers(0, 0xFFFFFFFF)
COUNTERS = st.lists(WORD, min_size=8, max_size=8)


@FIXED
@given(
    st.sampled_from(Kind),
    st.sampled_from(ErrorCode),
    st.integers(0, 0xFFFF),
    WORD,
    WORD,
    st.sampled_from([NARROW, WIDE]),
)
def test_packet_header_round_trip(kind, status, tag, length, command, config):
    header = PacketHeader(kind, status, tag, length, command)
    raw = header.encode(config)
    assert len(raw) == config.header_beats * config.beat_bytes
    assert raw[:2] == bytes([kind, status])
    assert PacketHeader.decode(raw) == header


@pytest.mark.parametrize("raw", [bytes(16), b"\x03" + bytes(15), b"\x01\x0b" + bytes(14)])
def test_what_no_engine_sends_is_no_packet(raw):
    with pytest.raises(ValueError, match="is not a valid"):
        PacketHeader.decode(raw)


def test_the_last_word_of_a_packet_header_is_zero():
    with pytest.raises(ValueError, match="last word must be 0, not 0x1000000"):
        PacketHeader.decode(b"\x01" + bytes(14) + b"\x01")


def counters(values: list[int]) -> Counters:
    return Counters.decode(b"".join(v.to_bytes(4, "little") for v in values))


@FIXED
@given(COUNTERS)
def test_counters_round_trip(values):
    c = counters(values)
    assert (c.cycles, c.work, c.output) == (values[0], values[1], values[7])
    assert Counters.decode(c.encode()) == c


@FIXED
@given(COUNTERS, st.lists(st.integers(0, 1000), min_size=8, max_size=8))
def test_differences_of_counters_survive_their_wrap(start, steps):
    later = [(a + b) % 2**32 for a, b in zip(start, steps, strict=True)]
    taken = counters(later).since(counters(start))
    assert taken == counters(steps)


def test_counters_add():
    one = Counters(cycles=5, work=3, stream=2)
    assert one + Counters(cycles=1, drain=1) == Counters(cycles=6, work=3, stream=2, drain=1)


@pytest.mark.parametrize(
    ("config", "rows", "tiles", "want"),
    [
        (NARROW, 1, 1, 16 + 4),
        (NARROW, 3, 5, 16 + 60),
        (WIDE, 1, 1, 64 + 64),
        (WIDE, 3, 1, 64 + 128),
    ],
)
def test_data_packets_fill_whole_beats(config, rows, tiles, want):
    assert data_packet_bytes(config, rows=rows, tiles=tiles) == want


def test_a_packet_of_limbs_is_as_much_shorter():
    config = EngineConfig(limb_bits=4)  # four columns, beats of 32 bytes
    assert data_packet_bytes(config, rows=1, tiles=144, limbs=8) == 32 + 144 * 16
    assert data_packet_bytes(config, rows=1, tiles=144, limbs=5) == 32 + 144 * 10
    assert data_packet_bytes(config, rows=3, tiles=5, limbs=3) == 32 + 96  # 90 bytes


def test_status_packets_fill_whole_beats():
    assert status_packet_bytes(NARROW) == 48
    assert status_packet_bytes(WIDE) == 128


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_has_a_cause_for_people(code):
    assert len(code.cause) >= 8
    text = str(StreamError(code, 17))
    assert code.cause in text
    assert "command 17" in text
    assert code.name in text
