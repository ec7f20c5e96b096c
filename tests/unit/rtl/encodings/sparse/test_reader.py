"""Words of mixed segments, against what the golden engine decodes."""

import random

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.planes import pack_planes
from summand.isa.segments import Segment
from summand.isa.sparse import unpack_sparse
from summand.rtl.encodings.sparse import SparseReader
from summand.testing.streams import simulate

CONFIGS = [
    EngineConfig(cols=2, depth=16, stream_bits=32, acc_depth=64, act_depth=4, sparse_block=4),
    EngineConfig(cols=4, depth=32, stream_bits=32, acc_depth=64, act_depth=4, sparse_block=8),
    EngineConfig(cols=4, depth=16, stream_bits=32, acc_depth=64, act_depth=4, sparse_block=16),
]


def table(rng, config):
    """Return the segments of a walk, dense and sparse."""
    segments = []
    for n in range(rng.choice([1, 2, 4, 16])):
        kept = rng.choice([0, rng.randrange(config.sparse_block)])
        tiles, planes = rng.choice([1, 1, 2, 3]), rng.randint(1, 4)
        segments.append(Segment(tile=3 * n, tiles=tiles, planes=planes, kept=kept))
    return segments


def words(raw, segments, config):
    """Return a slice's plane words."""
    out, at = [], 0
    for s in segments:
        part = raw[at : at + s.beats(config) * config.beat_bytes]
        at += len(part)
        if s.kept:
            found = unpack_sparse(part[None], s.tiles, s.planes, s.kept, config)
            part = pack_planes(found, s.planes, config)
        size = config.plane_bits // 8
        flat = part.reshape(-1, size)
        out += [int.from_bytes(word.tobytes(), "little") for word in flat]
    return out


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"block-{c.sparse_block}")
@pytest.mark.parametrize(("p_beat", "p_word"), [(1.0, 1.0), (0.4, 1.0), (1.0, 0.3)])
def test_words_of_any_beats_and_not_a_beat_too_many(config, p_beat, p_word):
    rng = random.Random(config.sparse_block)
    dut = SparseReader(config)

    async def walk(ctx, segments, slices):
        size = sum(s.beats(config) for s in segments) * config.beat_bytes
        raw = np.frombuffer(rng.randbytes(slices * size), np.uint8).reshape(slices, size)
        want = [word for part in raw for word in words(part, segments, config)]
        beats = raw.reshape(-1, config.beat_bytes)
        await ctx.tick()
        ctx.set(dut.walks.start, 1)
        ctx.set(dut.walks.slices, slices)
        taken = steps = quiet = 0
        got = []
        while quiet < 40:
            show(ctx, segments, steps)
            more = taken < len(beats)
            ctx.set(dut.i.valid, rng.random() < p_beat)
            payload = beats[taken].tobytes() if more else rng.randbytes(config.beat_bytes)
            ctx.set(dut.i.payload, int.from_bytes(payload, "little"))
            ctx.set(dut.o.ready, rng.random() < p_word)
            *_, ready, valid, word, step, offered, wanted = await ctx.tick().sample(
                dut.i.ready, dut.o.valid, dut.o.payload, dut.ring.next, dut.i.valid, dut.o.ready
            )
            ctx.set(dut.walks.start, 0)
            assert more or not ready
            taken += bool(ready and offered)
            if valid and wanted:
                got.append(word)
            steps += step
            quiet = 0 if len(got) < len(want) else quiet + 1
        assert got == want

    def show(ctx, segments, steps):
        for port, n in ((dut.ring.entry, steps - 2), (dut.ring.ahead, steps - 1)):
            s = segments[n % len(segments)]
            sizes = {"tile": s.tile, "more": s.tiles - 1, "words": s.planes - 1, "kept": s.kept}
            flags = {"one_tile": s.tiles == 1, "one_word": s.planes == 1}
            ctx.set(port, sizes | flags | {"last": n % len(segments) == len(segments) - 1})

    async def bench(ctx):
        for _ in range(8):
            await walk(ctx, table(rng, config), rng.choice([1, 2, 3]))

    simulate(dut, bench)


def test_what_is_there_without_a_word_ends_with_the_beat():
    config = CONFIGS[1]
    dut = SparseReader(config)

    async def bench(ctx):
        for beat in (0, 0xDEADBEEF, 0xFFFFFFFF):
            ctx.set(dut.i.payload, beat)
            assert ctx.get(dut.o.payload) >> (config.plane_bits - config.stream_bits) == beat
            await ctx.tick()

    simulate(dut, bench)
