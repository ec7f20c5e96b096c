"""The golden player against a naive one, and against the engine alone."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden import GoldenEngine
from summand.golden.player import GoldenPlayer
from summand.isa import EngineConfig, SummandError
from summand.isa.player import Item, ItemOp, Refusal
from summand.stimulus.engines import random_config
from summand.stimulus.plays import random_play
from summand.stimulus.programs import random_program

FIXED = settings(deadline=None, derandomize=True, max_examples=60)
SEEDS = st.integers(0, 2**32 - 1)
CONFIG = EngineConfig(rows=1, cols=2, depth=16, stream_bits=32)


def naive(data: bytes, config: EngineConfig, memory: bytearray) -> tuple[bytes, list[int]]:
    """Return the stream and the checksums of items that are all good, byte by byte."""
    beat, at, out, sums = config.stream_bits // 8, 0, b"", []
    head = max(16, beat)
    while at < len(data):
        op, count, address = data[at], *struct.unpack_from("<II", data, at + 4)
        at += head
        first, size = address * beat, count * beat
        if op == 0x81:
            out += data[at : at + size]
            at += size
        elif op == 0x82:
            out += memory[first : first + size]
        elif op == 0x83:
            for n in range(size):
                memory[first + n] = data[at + n]
            at += size
        else:
            assert op == 0x84
            sums.append(zlib.crc32(bytes(memory[first : first + size])))
    return out, sums


@FIXED
@given(SEEDS)
def test_an_engine_gets_the_stream_that_the_items_say(seed):
    rng = np.random.default_rng(seed)
    program = random_program(rng, random_config(rng), commands=8, max_words=16)
    config, stream = program.config, program.data
    play = random_play(rng, stream, config, 40, longest=16)
    memory = bytearray(40 * config.beat_bytes)
    assert naive(play.data, config, memory)[0] == stream
    assert memory == play.memory

    player, alone = GoldenPlayer(config, 40), GoldenEngine(config)
    alone.write([stream])
    at = 0
    while at < len(play.data):  # in chunks that are cut anywhere
        size = int(rng.integers(1, 200))
        player.write([play.data[at : at + size]])
        at += size
    assert player.read(player.available) == alone.read(alone.available) == program.output
    assert player.read_register("player_items") == play.items
    assert player.read_register("player_status") == 0
    assert player.read_register("commands") == alone.read_register("commands")


@FIXED
@given(SEEDS)
def test_checksums_are_those_of_zlib(seed):
    rng = np.random.default_rng(seed)
    play = random_play(rng, rng.bytes(400), CONFIG, 30, longest=12)
    _, sums = naive(play.data, CONFIG, bytearray(120))
    player = GoldenPlayer(CONFIG, 30)
    player.write([play.data])
    assert list(map(zlib.crc32, play.checksums)) == sums
    assert player.read_register("player_crc") == (sums[-1] if sums else 0)


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (Item(0x80, 0), Refusal.OP),
        (Item(ItemOp.LITERAL, 1, 1), Refusal.RESERVED),
        (Item(ItemOp.PLAY, 1, 30), Refusal.ADDRESS),
    ],
)
def test_a_bad_item_stops_it_until_reset(item, code):
    player = GoldenPlayer(CONFIG, 30)
    good = Item(ItemOp.WRITE, 1, 29).encode(CONFIG) + b"abcd"
    player.write([good, item.encode(CONFIG), good])
    assert player.read_register("player_status") == code << 8
    assert player.read_register("player_items") == 1
    player.write([good])
    assert player.read_register("player_items") == 1
    player.write_register("epoch_lo", 7)
    player.write_register("reset", 1)
    assert player.read_register("player_status") == 0
    player.write([Item(ItemOp.CRC, 1, 29).encode(CONFIG)])
    assert player.read_register("player_crc") == zlib.crc32(b"abcd")  # the memory stays
    assert player.read_register("epoch_lo") == 7


def test_an_item_that_has_not_come_whole_is_under_way():
    player = GoldenPlayer(CONFIG, 30)
    player.write([Item(ItemOp.WRITE, 3).encode(CONFIG), b"abcdefg"])
    assert player.read_register("player_status") == 1
    assert player.read_register("player_items") == 0
    player.write([b"hijkl"])
    assert player.read_register("player_status") == 0


def test_only_what_may_be_written_is():
    player = GoldenPlayer(CONFIG, 30)
    assert player.read_register("memory_beats") == 30
    for name in ("memory_beats", "player_status", "status"):
        with pytest.raises(SummandError, match="read only"):
            player.write_register(name, 1)
    with pytest.raises(SummandError, match="no register"):
        player.read_register("epoch")
