import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import CommandError, EngineConfig, ErrorCode
from summand.isa.limits import SEGMENTS
from summand.isa.segments import Segment, decode_segments
from summand.rtl.segments import SegmentTable
from summand.testing.streams import simulate

PLAIN = EngineConfig(cols=4, depth=8, stream_bits=32, acc_depth=16)
SHIFTING = EngineConfig(cols=4, depth=8, stream_bits=32, acc_depth=32, shift=2)
SCALING = EngineConfig(cols=4, depth=8, stream_bits=32, acc_depth=32, scale_bits=3)
HALVING = EngineConfig(cols=4, depth=8, stream_bits=32, acc_depth=32, half_steps=True)
SPARSE = replace(HALVING, sparse_block=8)
STORING = replace(SPARSE, scale_bits=3, operand_depth=256)


def good_table(rng, config):
    """Return segments that ascend, often without a gap between them."""
    segments, after = [], 0
    for _ in range(rng.randint(1, SEGMENTS.high)):
        tile = after + rng.choice([0, 0, 1, 3])
        if tile >= config.acc_depth:
            break
        tiles = min(rng.choice([1, 1, 2, 16]), config.acc_depth - tile)
        segments.append(
            Segment(
                tile=tile,
                tiles=tiles,
                planes=rng.randint(1, 8),
                clear=rng.random() < 0.5,
                shift=bool(config.shift) and rng.random() < 0.5,
                scaled=bool(config.scale_bits) and rng.random() < 0.5,
                half_step=config.half_steps and rng.random() < 0.5,
            )
        )
        if config.sparse_block and rng.random() < 0.5:
            kept = rng.randint(1, config.sparse_block - 1)
            segments[-1] = replace(segments[-1], half_step=False, kept=kept)
        after = segments[-1].end
    return segments


def spoiled(rng, raw):
    """Change one descriptor's field to a value just, or far, out of range."""
    at = rng.randrange(len(raw) // 8) * 8
    where, values = rng.choice(
        [
            (0, [0, 1, 15, 16, 17, 31, 32]),
            (1, [1, 255]),
            (2, [0, 1, 2, 16, 17, 32, 33]),
            (3, [1, 255]),
            (4, [0, 9, 255]),
            (5, [2, 4, 8, 16, 128]),
            (6, [1, 7, 8, 128]),
            (7, [128]),
        ]
    )
    raw = bytearray(raw)
    raw[at + where] = rng.choice(values)
    return bytes(raw)


def verdict(raw, config, stored):
    try:
        decode_segments(raw, len(raw) // 8, config, stored=stored)
    except CommandError as e:
        return e.code
    return ErrorCode.OK


async def write_table(ctx, dut, raw, rng, *, low=0, high=0):
    """Write a table, with gaps; return error and conflict when they are due."""
    ctx.set(dut.orders.begin, 1)
    await ctx.tick()
    ctx.set(dut.orders.begin, 0)
    ctx.set(dut.orders.low, low)
    ctx.set(dut.orders.high, high)
    for at in range(0, len(raw), 8):
        while rng.random() < 0.3:
            ctx.set(dut.orders.descriptor.as_value(), rng.getrandbits(64))
            ctx.set(dut.orders.last, rng.getrandbits(1))
            await ctx.tick()
        ctx.set(dut.orders.write, 1)
        ctx.set(dut.orders.last, at + 8 == len(raw))
        ctx.set(dut.orders.descriptor.as_value(), int.from_bytes(raw[at : at + 8], "little"))
        await ctx.tick()
        ctx.set(dut.orders.write, 0)
    await ctx.tick().repeat(SegmentTable.LATENCY - 1)
    return ctx.get(dut.orders.error), ctx.get(dut.orders.conflict)


@pytest.mark.parametrize(
    "config",
    [PLAIN, SHIFTING, SCALING, HALVING, SPARSE, STORING],
    ids=["plain", "shifting", "scaling", "halving", "sparse", "storing"],
)
def test_the_first_bad_segment_is_reported(config):
    """Good tables and spoiled ones in turn: no table affects the next."""
    rng = random.Random(1)
    dut = SegmentTable(config)
    seen = set()

    async def bench(ctx):
        for n in range(250):
            raw = b"".join(s.encode() for s in good_table(rng, config))
            for _ in range(n % 3):
                raw = spoiled(rng, raw)
            stored = config.operand_depth > 0 and rng.random() < 0.5
            if config.operand_depth:
                ctx.set(dut.orders.stored, stored)
            want = verdict(raw, config, stored)
            error, _ = await write_table(ctx, dut, raw, rng)
            assert error == want, raw.hex(" ", 8)
            if want == ErrorCode.OK:
                segments = decode_segments(raw, len(raw) // 8, config)
                assert ctx.get(dut.scaled_tiles) == sum(s.tiles for s in segments if s.scaled)
            seen.add(want)

    simulate(dut, bench)
    assert seen == {ErrorCode.OK, ErrorCode.RESERVED, ErrorCode.TILES, ErrorCode.SEGMENTS}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([SHIFTING, SCALING, HALVING, SPARSE]),
    st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=3),
)
def test_any_bytes_get_the_decoders_verdict(config, raw):
    table = b"".join(raw)

    async def bench(ctx):
        error, _ = await write_table(ctx, dut, table, random.Random(0))
        assert error == verdict(table, config, False)

    dut = SegmentTable(config)
    simulate(dut, bench)


def test_conflict_means_a_tile_in_common():
    config = SHIFTING
    rng = random.Random(2)
    dut = SegmentTable(config)
    seen = set()

    async def bench(ctx):
        for _ in range(200):
            segments = good_table(rng, config)[: rng.randint(1, 3)]
            low = rng.randint(0, config.acc_depth)
            high = rng.randint(low, config.acc_depth)
            if rng.random() < 0.5:  # touching, or just not
                low = segments[-1].end - rng.randint(0, 1)
                high = max(low, high)
            mine = {t for s in segments for t in range(s.tile, s.end)}
            want = bool(mine & set(range(low, high)))
            if low == high:
                continue  # no drain names no tile
            raw = b"".join(s.encode() for s in segments)
            _, conflict = await write_table(ctx, dut, raw, rng, low=low, high=high)
            assert conflict == want, (segments, low, high)
            seen.add(want)

    simulate(dut, bench)
    assert seen == {False, True}


def test_the_ring_gives_the_table_again_and_again():
    """Two steps after `rewind` the first entry is out; a `rewind` of one cycle suffices."""
    config = replace(SHIFTING, scale_bits=2, half_steps=True)
    rng = random.Random(3)
    dut = SegmentTable(config)

    async def bench(ctx):
        for count in (1, 2, 3, SEGMENTS.high):
            segments = [
                Segment(
                    tile=2 * n,
                    tiles=1 + n % 2,
                    planes=1 + n % 8,
                    clear=n % 3 == 0,
                    shift=n % 5 == 0,
                    scaled=n % 4 == 1,
                    half_step=n % 3 == 1,
                )
                for n in range(count)
            ]
            raw = b"".join(s.encode() for s in segments)
            assert await write_table(ctx, dut, raw, rng) == (0, 0)
            ctx.set(dut.orders.rewind, 1)
            await ctx.tick()
            ctx.set(dut.orders.rewind, 0)
            ctx.set(dut.ring.next, 1)
            await ctx.tick().repeat(2)
            for n in range(2 * count + 3):  # it stops anywhere: the next table is rewound
                entry = ctx.get(dut.ring.entry)
                s = segments[n % count]
                assert (entry.tile, entry.more + 1, entry.words + 1) == (s.tile, s.tiles, s.planes)
                assert (entry.clear, entry.shift) == (s.clear, s.shift)
                assert (entry.scaled, entry.half_step) == (s.scaled, s.half_step)
                assert entry.one_tile == (s.tiles == 1)
                assert entry.one_word == (s.planes == 1)
                assert entry.last == (n % count == count - 1)
                ahead = ctx.get(dut.ring.ahead)
                assert ahead.tile == segments[(n + 1) % count].tile
                while rng.random() < 0.3:
                    ctx.set(dut.ring.next, 0)
                    await ctx.tick()
                    assert ctx.get(dut.ring.entry).as_bits() == entry.as_bits()
                ctx.set(dut.ring.next, 1)
                await ctx.tick()
            ctx.set(dut.ring.next, 0)

    simulate(dut, bench)
