import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import CommandError, EngineConfig, ErrorCode
from summand.isa.borders import Border, decode_borders
from summand.isa.limits import BORDERS
from summand.isa.segments import Segment
from summand.rtl.borders import BorderTable
from summand.testing.streams import simulate

DEEP = EngineConfig(cols=4, depth=8, stream_bits=32, acc_depth=16, act_depth=64, border_shift=5)
SHALLOW = EngineConfig(
    cols=4, depth=8, stream_bits=32, acc_depth=16, act_depth=2, shift=1, border_shift=1
)
CONFIGS = [DEEP, SHALLOW]


def good_borders(rng: random.Random, config: EngineConfig, slices: int) -> list[Border]:
    count = rng.randint(0, min(slices, BORDERS.high))
    places = sorted(rng.sample(range(slices), count))
    return [Border(place, rng.randint(1, config.border_shift)) for place in places]


def spoiled(rng: random.Random, raw: bytes) -> bytes:
    """Change one border's field to a value just, or far, out of range, or to another good one."""
    bad = bytearray(raw)
    where, values = rng.choice(
        [
            (0, [0, 1, 2, 3, 62, 63, 64, 255]),
            (1, [1, 128]),
            (2, [0, 1, 2, 5, 6, 8, 128]),
            (3, [1]),
            (7, [128]),
        ]
    )
    bad[rng.randrange(len(raw) // 8) * 8 + where] = rng.choice(values)
    return bytes(bad)


def verdict(raw: bytes, slices: int, shifted: bool, config: EngineConfig) -> bool:
    segment = Segment(tile=0, tiles=1, planes=1, shift=shifted)
    try:
        decode_borders(segment.encode() + raw, len(raw) // 8, slices, (segment,), config)
    except CommandError as e:
        return e.code == ErrorCode.RESERVED
    return False


async def refused(ctx, dut, raw: bytes, slices: int, shifted: bool, rng: random.Random) -> bool:
    """Write borders, with gaps; return the verdict when it is due."""
    ctx.set(dut.orders.begin, 1)
    await ctx.tick()
    ctx.set(dut.orders.begin, 0)
    ctx.set(dut.orders.slices, slices)
    ctx.set(dut.orders.shifted, shifted)
    for at in range(0, len(raw), 8):
        while rng.random() < 0.3:
            ctx.set(dut.orders.descriptor.as_value(), rng.getrandbits(64))
            await ctx.tick()
        ctx.set(dut.orders.write, 1)
        ctx.set(dut.orders.descriptor.as_value(), int.from_bytes(raw[at : at + 8], "little"))
        await ctx.tick()
        ctx.set(dut.orders.write, 0)
    for _ in range(BorderTable.LATENCY - 1):
        assert not (raw and ctx.get(dut.orders.checked))
        await ctx.tick()
    assert ctx.get(dut.orders.checked)
    return bool(ctx.get(dut.orders.refused))


@pytest.mark.parametrize("config", CONFIGS, ids=["deep", "shallow"])
def test_bad_borders_are_refused(config):
    """Good ones and spoiled ones in turn: no table affects the next."""
    rng = random.Random(1)
    dut = BorderTable(config)
    seen = set()

    async def bench(ctx):
        for n in range(300):
            slices, shifted = rng.randint(1, config.act_depth), rng.random() < 0.3
            raw = b"".join(b.encode() for b in good_borders(rng, config, slices))
            for _ in range(n % 3 if raw else 0):
                raw = spoiled(rng, raw)
            want = verdict(raw, slices, shifted, config)
            assert await refused(ctx, dut, raw, slices, shifted, rng) == want, raw.hex(" ", 8)
            seen.add((want, shifted))

    simulate(dut, bench)
    assert len(seen) == 4


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(CONFIGS),
    st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=3),
    st.integers(1, 0xFFFF),
    st.booleans(),
)
def test_any_bytes_get_the_decoders_verdict(config, raw, slices, shifted):
    slices = min(slices, config.act_depth)
    table = b"".join(raw)

    async def bench(ctx):
        got = await refused(ctx, dut, table, slices, shifted, random.Random(0))
        assert got == verdict(table, slices, shifted, config)

    dut = BorderTable(config)
    simulate(dut, bench)


@pytest.mark.parametrize("config", CONFIGS, ids=["deep", "shallow"])
def test_each_slice_has_its_borders_shift(config):
    """It is there two cycles after a step and stays, and walks begin anew."""
    rng = random.Random(2)
    dut = BorderTable(config)

    async def step(ctx, signal):
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)
        await ctx.tick()

    async def bench(ctx):
        for _ in range(30):
            slices = rng.randint(1, config.act_depth)
            borders = good_borders(rng, config, slices)
            raw = b"".join(b.encode() for b in borders)
            assert not await refused(ctx, dut, raw, slices, False, rng)
            await step(ctx, dut.rewind)
            for n in range(slices):
                want = sum(b.shift for b in borders if b.slice == n)
                for _ in range(rng.randint(1, 4)):
                    assert ctx.get(dut.shift) == want, (n, borders)
                    await ctx.tick()
                if rng.random() < 0.01:  # it stops anywhere
                    break
                await step(ctx, dut.step)

    simulate(dut, bench)
