"""The golden engine against a naive one: Python's integers, one bit and one number at a time."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden import GoldenEngine, split_packets, without_counters
from summand.isa import EngineConfig, ErrorCode, SummandError
from summand.isa.commands import Fence, Gemm, Load, Store
from summand.isa.header import Header, Op
from summand.isa.segments import Segment
from summand.stimulus.builder import TestProgram
from summand.stimulus.corruptions import corrupt, corruptions
from summand.stimulus.engines import CORNERS, random_config
from summand.stimulus.programs import random_program

from .naive import NaiveEngine

FIXED = settings(deadline=None, derandomize=True, max_examples=40)
SEEDS = st.integers(0, 2**32 - 1)
TINY = EngineConfig(
    rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16
)


def check(config: EngineConfig, data: bytes) -> NaiveEngine:
    """Run both engines; all their visible state must be equal."""
    golden, naive = GoldenEngine(config), NaiveEngine(config)
    golden.write([data])
    want = naive.run(data)
    assert golden.read(golden.available) == want
    assert golden.read_register("commands") == naive.commands
    assert golden.read_register("status") >> 8 == naive.error
    return naive


def small_program(seed: int, **limits: int) -> tuple[np.random.Generator, TestProgram]:
    rng = np.random.default_rng(seed)
    return rng, random_program(rng, random_config(rng), commands=12, **limits)


@FIXED
@given(SEEDS)
def test_random_programs_match_the_naive_engine(seed):
    _, program = small_program(seed, max_words=16)
    naive = check(program.config, program.data)
    assert naive.out == program.output
    assert not naive.error


@FIXED
@given(SEEDS, SEEDS)
def test_chunks_may_be_cut_anywhere(seed, cuts):
    _, program = small_program(seed)
    data, rng = program.data, np.random.default_rng(cuts)
    engine, out = GoldenEngine(program.config), b""
    at = 0
    while at < len(data):
        sizes = rng.choice([0, 1, 3, 16, 100, 10_000], 3)
        ends = at + np.cumsum(sizes)
        pieces = [data[at : ends[0]], memoryview(data)[ends[0] : ends[1]], data[ends[1] : ends[2]]]
        engine.write(pieces)
        at = int(ends[2])
        out += engine.read(int(rng.integers(200)))
    assert out + engine.read(1 << 30) == program.output


#: Each limit can be exceeded by one: one column, and more accumulators than a REQUANTISE may name.
SINGLE = EngineConfig(cols=1, depth=32, stream_bits=32, acc_depth=32, act_depth=4, requant_depth=16)


ENGINES = {
    **{f"random-{seed}": random_config(np.random.default_rng(seed)) for seed in range(6)},
    **CORNERS,
    "single": SINGLE,
}


@pytest.mark.parametrize("name", CORNERS)
def test_programs_at_the_corners_match_the_naive_engine(name):
    for seed in range(6):
        program = random_program(np.random.default_rng(seed), CORNERS[name], max_words=8)
        assert check(CORNERS[name], program.data).out == program.output


@pytest.mark.parametrize("name", ENGINES)
def test_bad_commands_are_refused_as_the_naive_engine_does(name):
    rng, config = np.random.default_rng(0), ENGINES[name]
    program = random_program(rng, config, commands=3, max_words=4)
    for bad in corruptions(config):
        stream = corrupt(rng, program, bad)
        naive = check(config, stream.data)
        assert (bad.name, naive.error) == (bad.name, bad.code)
        assert stream.output == naive.out


@FIXED
@given(SEEDS, st.data())
def test_a_changed_stream_is_treated_as_the_naive_engine_does(seed, choices):
    rng, program = small_program(seed, max_words=6)
    data = bytearray(program.data)
    for _ in range(choices.draw(st.integers(1, 4))):
        at = choices.draw(st.integers(0, len(data) - 1))
        data[at] ^= 1 << choices.draw(st.integers(0, 7))
    check(program.config, bytes(data))


INTERESTING = st.sampled_from([0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 0x7FFF, 0x8000, 0xFFFF])


@settings(FIXED, max_examples=400)
@given(SEEDS, st.sampled_from([0, 1, 2, 3, 4, 5, 6]), st.lists(INTERESTING, min_size=5, max_size=5))
def test_headers_of_any_fields_are_treated_as_the_naive_engine_does(seed, op, fields):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    tail = rng.integers(0, 256, 4096, np.uint8)
    tail[: 4 * 256] &= rng.choice(np.array([0, 1, 3, 15, 255], np.uint8), 4 * 256)
    check(config, Header(op, *fields).encode(config) + tail.tobytes())


@settings(FIXED, max_examples=200)
@given(SEEDS, st.lists(st.binary(max_size=300), max_size=6))
def test_garbage_never_crashes_and_is_never_believed(seed, pieces):
    config = random_config(np.random.default_rng(seed))
    engine = GoldenEngine(config)
    engine.write(pieces)
    sent = sum(map(len, pieces))
    packets = split_packets(engine.read(1 << 20), config)
    if sent >= config.header_beats * config.beat_bytes:
        assert [p.header.status for p in packets] == [ErrorCode.CHECK]
    else:
        assert not packets


def test_a_truncated_stream_yields_nothing_and_waits():
    rng = np.random.default_rng(5)
    program = random_program(rng, TINY, commands=4)
    for end in range(0, len(program.data), 7):
        engine = GoldenEngine(TINY)
        engine.write([program.data[:end]])
        head = engine.read(1 << 20)
        assert program.output.startswith(head)
        engine.write([program.data[end:]])
        assert head + engine.read(1 << 20) == program.output


def test_a_wrong_length_is_reported_when_the_lesser_of_both_has_been_taken():
    table = (Segment(tile=0, tiles=2, planes=3),)
    good = Gemm(from_slice=0, slices=2, segments=table).encode(TINY)
    needed = 2 + 2 * 6
    for length in (2, needed - 1, needed + 1, 0xFFFFFFFF):
        header = Header(Op.GEMM, length, 0, 2, 1).encode(TINY)
        engine = GoldenEngine(TINY)
        words = bytes((min(length, needed) - 2) * TINY.beat_bytes)
        stream = header + good[len(header) :] + words
        engine.write([stream[:-1]])
        assert engine.available == 0
        engine.write([stream[-1:]])
        (packet,) = split_packets(engine.read(1 << 10), TINY)
        assert packet.header.status == ErrorCode.LENGTH


def test_after_an_error_everything_is_discarded_until_reset():
    engine = GoldenEngine(TINY)
    engine.write([Fence(tag=7).encode(TINY), bytes(16), Fence().encode(TINY)])
    first, bad = split_packets(engine.read(1 << 10), TINY)
    assert (first.header.tag, first.header.command) == (7, 0)
    assert (bad.header.tag, bad.header.command) == (0, 1)
    engine.write([Fence().encode(TINY)])
    assert engine.available == 0
    assert engine.read_register("status") == ErrorCode.CHECK << 8
    assert engine.read_register("commands") == 2

    engine.write_register("reset", 0)
    assert engine.read_register("status") == ErrorCode.CHECK << 8
    engine.write_register("reset", 1)
    assert engine.read_register("status") == 0
    assert engine.read_register("commands") == 0
    engine.write([Fence(tag=9).encode(TINY)])
    (packet,) = split_packets(engine.read(1 << 10), TINY)
    assert (packet.header.tag, packet.header.command) == (9, 0)


def test_reset_drops_a_command_in_progress_and_unread_output():
    rng = np.random.default_rng(11)
    program = random_program(rng, TINY)
    engine = GoldenEngine(TINY)
    engine.write([program.data, program.data[:20]])
    assert engine.available
    assert engine.read_register("status") == 1  # busy with a command that is incomplete
    engine.write_register("reset", 1)
    assert engine.available == 0
    assert engine.read_register("status") == 0
    engine.write([program.data])  # gives the same after a reset as after power-up
    assert engine.read(1 << 20) == program.output


def test_registers_identify_the_engine():
    engine = GoldenEngine(TINY)
    assert engine.read_register("identity").to_bytes(4, "little") == b"SMND"
    assert engine.read_register("version") == 1
    digest = engine.read_register("digest_hi") << 32 | engine.read_register("digest_lo")
    assert f"{digest:016x}" == TINY.digest
    assert engine.read_register("reset") == 0
    assert engine.read_register("cycles") == 0


def test_unknown_and_read_only_registers_are_named():
    engine = GoldenEngine(TINY)
    with pytest.raises(SummandError, match="no register 'speed'; it has identity, version"):
        engine.read_register("speed")
    with pytest.raises(SummandError, match="no register 'speed'"):
        engine.write_register("speed", 1)
    with pytest.raises(SummandError, match="register status is read only"):
        engine.write_register("status", 0)


def test_counters_are_zero_and_can_be_masked():
    engine = GoldenEngine(TINY)
    engine.write([Fence(tag=3).encode(TINY)])
    out = engine.read(1 << 10)
    (packet,) = split_packets(out, TINY)
    assert packet.payload == bytes(32)
    counted = out[:16] + b"\x01" * 32
    assert without_counters(counted, TINY) == out


@pytest.mark.parametrize("cut", [3, 20])
def test_output_cut_within_a_packet_is_not_split(cut):
    engine = GoldenEngine(TINY)
    engine.write([Fence().encode(TINY)])
    with pytest.raises(ValueError, match="cut short"):
        split_packets(engine.read(cut), TINY)


def test_accumulators_wrap():
    config = EngineConfig(
        cols=2, depth=16, stream_bits=32, acc_bits=20, acc_depth=16, act_depth=2, shift=8
    )
    load = Load(to_slice=0, slices=1, rows=1).encode(config) + b"\x80" * 16
    walk = b"\xff" * 4 + bytes(7 * 4)  # 8 planes of -128
    first = Gemm(
        from_slice=0, slices=1, segments=(Segment(tile=0, tiles=1, planes=8, clear=True),)
    ).encode(config)
    again = Gemm(
        from_slice=0, slices=1, segments=(Segment(tile=0, tiles=1, planes=8, shift=True),)
    ).encode(config)
    check(
        config, load + first + walk + again + walk + Store(tile=0, tiles=1, rows=1).encode(config)
    )


def test_clear_wins_over_shift():
    config = EngineConfig(cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=2, shift=3)
    segment = Segment(tile=0, tiles=1, planes=1, clear=True, shift=True)
    load = Load(to_slice=0, slices=1, rows=1).encode(config) + bytes(range(16))
    walk = Gemm(from_slice=0, slices=1, segments=(segment,)).encode(config) + b"\xff" * 4
    engine = GoldenEngine(config)
    engine.write([load, walk, walk, Store(tile=0, tiles=1, rows=1).encode(config)])
    (packet,) = split_packets(engine.read(1 << 10), config)
    assert struct.unpack("<2i", packet.payload) == (-120, -120)
    check(config, load + walk + walk + Store(tile=0, tiles=1, rows=1).encode(config))
