import zlib

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.player import Item, ItemOp, Refusal
from summand.rtl.player.player import Player
from summand.stimulus.plays import random_play
from summand.testing.memory import PortMemory
from summand.testing.streams import Sink, Source

FIXED = settings(deadline=None, derandomize=True, max_examples=25)
MEMORY = 24


def engine(stream_bits: int) -> EngineConfig:
    return EngineConfig(rows=1, cols=2, depth=256, stream_bits=stream_bits)


def beats_of(data: bytes, config: EngineConfig) -> list[int]:
    size = config.beat_bytes
    return [int.from_bytes(data[n : n + size], "little") for n in range(0, len(data), size)]


class Bench:
    """A player with a model of a memory, driven for some cycles."""

    def __init__(self, config: EngineConfig, memory_beats: int = MEMORY, **memory):
        self.config = config
        self.player = Player(config, memory_beats)
        self.memory = PortMemory(self.player.memory, memory_beats, **memory)
        #: Items finished, error and checksum at the end, and beats taken.
        self.result = (0, 0, 0)
        self.sent = 0

    def run(self, data, *, stall=0.0, seed=0, until=None, limit=20_000, stops=()):
        """Send items until ``until`` items are finished or an error stops the player.

        ``stops`` are cycles in which a reset begins, which drops what is not sent yet.
        """
        player, memory = self.player, self.memory
        source = Source(player.i, beats_of(data, self.config), p_stall=stall, seed=seed)
        sink = Sink(player.o, p_stall=stall, seed=seed)

        async def bench(ctx):
            quiet, state = 40, (0, 0)
            for cycle in range(limit):
                for end in (source, sink, memory):
                    end.before(ctx)
                _, _, ready, valid, payload, *rest = await ctx.tick().sample(
                    *source.signals, *sink.signals, *memory.signals
                )
                source.after(cycle, [ready])
                sink.after(cycle, [valid, payload])
                memory.after(rest)
                state = ctx.get(player.items), ctx.get(player.error)
                if state[0] == until or state[1]:
                    quiet -= 1
                    if not quiet:
                        self.result = state[0], state[1], ctx.get(player.crc)
                        return
            raise TimeoutError(f"{state} after {limit} cycles")

        sim = Simulator(player)
        sim.add_clock(1e-6)
        sim.add_testbench(bench)
        sim.run()
        self.sent = len(source.sent)
        return sink.beats


@FIXED
@given(st.integers(0, 2**32 - 1), st.sampled_from([32, 64, 128, 256]), st.booleans())
def test_the_stream_is_what_the_items_say(seed, bits, paused):
    config, rng = engine(bits), np.random.default_rng(seed)
    stream = rng.bytes(config.beat_bytes * int(rng.integers(1, 60)))
    play = random_play(rng, stream, config, MEMORY, longest=10)
    stall = float(rng.choice([0.2, 0.6])) if paused else 0.0
    bench = Bench(config, p_stall=stall, latency=int(rng.integers(1, 9)), seed=seed)
    assert bench.run(play.data, stall=stall, seed=seed, until=play.items) == beats_of(
        stream, config
    )
    items, error, crc = bench.result
    assert (items, error) == (play.items, Refusal.OK)
    assert bench.memory.beats == beats_of(play.memory, config)
    assert crc == (zlib.crc32(play.checksums[-1]) if play.checksums else 0)


@pytest.mark.parametrize("bits", [32, 128])
@pytest.mark.parametrize(
    ("item", "code"),
    [
        (Item(0x80, 1), Refusal.OP),
        (Item(ItemOp.LITERAL, 1, 1), Refusal.RESERVED),
        (Item(ItemOp.PLAY, 2, MEMORY - 1), Refusal.ADDRESS),
        (Item(ItemOp.CRC, 0, MEMORY + 1), Refusal.ADDRESS),
        (Item(ItemOp.WRITE, 2**32 - 1, 2**32 - 1), Refusal.ADDRESS),
    ],
)
def test_a_bad_item_stops_it_before_a_beat_moves(bits, item, code):
    config = engine(bits)
    good = Item(ItemOp.LITERAL, 2).encode(config) + bytes(range(2 * config.beat_bytes))
    data = good + item.encode(config) + good
    bench = Bench(config)
    assert bench.run(data) == beats_of(good[-2 * config.beat_bytes :], config)
    assert bench.result[:2] == (1, code)
    assert bench.sent == len(data) // config.beat_bytes  # the rest is dropped


def test_every_wrong_bit_of_an_item_is_found():
    config = engine(128)
    for bit in range(0, 128, 5):
        raw = bytearray(Item(ItemOp.PLAY, 3, 5).encode(config))
        raw[bit // 8] ^= 1 << bit % 8
        bench = Bench(config)
        assert bench.run(bytes(raw)) == []
        assert bench.result[:2] == (0, Refusal.CHECK)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("op", [ItemOp.PLAY, ItemOp.CRC, ItemOp.WRITE])
def test_what_the_memory_refuses_stops_it(op, stall):
    config = engine(64)
    carried = bytes(8 * 6) if op is ItemOp.WRITE else b""
    bench = Bench(config, refused=range(12, 13), p_stall=stall)
    out = bench.run(Item(op, 6, 10).encode(config) + carried, stall=stall)
    assert bench.result[:2] == (0, Refusal.MEMORY)
    assert out == ([0, 0] if op is ItemOp.PLAY else [])  # those before the refused one


def test_a_play_sees_what_was_written_just_before():
    config = engine(64)
    first, second = b"\x11" * 32, b"\x22" * 32
    data = b"".join(
        Item(ItemOp.WRITE, 4, 3).encode(config) + raw + Item(ItemOp.PLAY, 4, 3).encode(config)
        for raw in (first, second)
    )
    assert Bench(config, latency=20).run(data, until=4) == beats_of(first + second, config)


def test_a_play_takes_a_beat_a_cycle():
    config = engine(64)
    bench = Bench(config, 1000)
    player, memory = bench.player, bench.memory
    source = Source(player.i, beats_of(Item(ItemOp.PLAY, 900, 0).encode(config), config))
    sink = Sink(player.o)

    async def run(ctx):
        for cycle in range(1000):
            for end in (source, sink, memory):
                end.before(ctx)
            _, _, ready, valid, payload, *rest = await ctx.tick().sample(
                *source.signals, *sink.signals, *memory.signals
            )
            source.after(cycle, [ready])
            sink.after(cycle, [valid, payload])
            memory.after(rest)

    sim = Simulator(player)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()
    assert len(sink.arrived) == 900
    assert sink.arrived[-1] - sink.arrived[0] == 899


@pytest.mark.parametrize("when", range(4, 64, 3))
@pytest.mark.parametrize("op", ItemOp)
def test_a_stop_at_any_time_lets_it_begin_anew(op, when):
    """Whatever was under way, what comes after the stop is carried out from its beginning."""
    config = engine(64)
    before = Item(op, 20, 0 if op is ItemOp.LITERAL else 2).encode(config) + bytes(8 * 20)
    after = Item(ItemOp.LITERAL, 3).encode(config) + b"\x55" * 24
    bench = Bench(config, latency=6)
    player, memory = bench.player, bench.memory
    first = Source(player.i, beats_of(before, config))
    second = Source(player.i, beats_of(after, config))
    sinks = [Sink(player.o), Sink(player.o)]  # what was offered may be withdrawn by the stop

    async def run(ctx):
        stopping = False
        for cycle in range(200):
            stopping = cycle >= when and (cycle < when + 4 or (stopping and not memory.idle))
            ctx.set(player.stop, stopping)
            source, sink = (first, sinks[0]) if cycle < when else (second, sinks[1])
            if not stopping:
                source.before(ctx)
                sink.before(ctx)
            memory.before(ctx)
            _, _, ready, valid, payload, *rest = await ctx.tick().sample(
                *source.signals, *sink.signals, *memory.signals
            )
            memory.after(rest)
            if not stopping:
                source.after(cycle, [ready])
                sink.after(cycle, [valid, payload])
        assert ctx.get(player.items) == 1
        assert not ctx.get(player.error)

    sim = Simulator(player)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()
    assert sinks[1].beats == [int.from_bytes(b"\x55" * 8, "little")] * 3
