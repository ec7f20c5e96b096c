"""The link's queues by themselves."""

import random

import pytest
from amaranth.sim import Simulator

from summand.boards.link.queues import CommitQueue, ReplayQueue


def _run(dut, *testbenches):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for testbench in testbenches:
        sim.add_testbench(testbench)
    sim.run()


async def _put(ctx, stream, byte):
    ctx.set(stream.payload, byte)
    ctx.set(stream.valid, 1)
    taken = False
    while not taken:
        _, _, taken = await ctx.tick().sample(stream.ready)
    ctx.set(stream.valid, 0)


@pytest.mark.parametrize("p_stall", [0.0, 0.5])
def test_frames_are_kept_or_dropped_whole(p_stall):
    """Random frames, some bad, some too long."""
    dut = CommitQueue(64)
    rng = random.Random(1)
    want, got = bytearray(), bytearray()
    sizes = [0, 1, 2, 30, 59, 60, 61, 70]
    done = False

    async def write(ctx):
        nonlocal done
        while len(want) < 2500:
            payload = rng.randbytes(rng.choice(sizes))
            for byte in payload + b"crc!":
                await _put(ctx, dut.i, byte)
            assert ctx.get(dut.accepted) == len(want) & 0xFFFF
            fits, good = ctx.get(dut.fits), rng.random() < 0.8
            if len(payload) > 60:
                assert not fits
            ctx.set(dut.commit, fits and good)
            ctx.set(dut.drop, not (fits and good))
            await ctx.tick()
            ctx.set(dut.commit, 0)
            ctx.set(dut.drop, 0)
            if fits and good:
                want.extend(payload)
            assert (ctx.get(dut.limit) - ctx.get(dut.accepted)) & 0xFFFF <= 60
        for _ in range(300):
            await ctx.tick()
        done = True

    async def read(ctx):
        rng = random.Random(2)
        held = None
        while not done:
            ready = rng.random() >= p_stall
            ctx.set(dut.o.ready, ready)
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            assert held is None or (valid and byte == held)
            held = byte if valid and not ready else None
            if valid and ready:
                got.append(byte)

    _run(dut, write, read)
    assert got == want


def test_a_commit_frees_nothing_that_is_unread():
    """Without a reader, the queue keeps no more bytes than it announced room for."""
    dut = CommitQueue(64)

    async def testbench(ctx):
        promised = ctx.get(dut.limit)
        for _ in range(10):
            for byte in bytes(16) + b"crc!":
                await _put(ctx, dut.i, byte)
            fits = ctx.get(dut.fits)
            ctx.set(dut.commit, fits)
            ctx.set(dut.drop, not fits)
            await ctx.tick()
            ctx.set(dut.commit, 0)
            ctx.set(dut.drop, 0)
            await ctx.tick()
        assert promised == 60
        assert ctx.get(dut.accepted) == 48
        assert ctx.get(dut.limit) == 60

    _run(dut, testbench)


@pytest.mark.parametrize("p_stall", [0.0, 0.5])
def test_bytes_are_repeated_on_demand(p_stall):
    """A reader that loses its place, and goes back to any byte it has not acknowledged."""
    dut = ReplayQueue(64)
    source = random.Random(1).randbytes(2500)
    got = bytearray()

    async def write(ctx):
        rng = random.Random(2)
        for byte in source:
            while rng.random() < p_stall:
                await ctx.tick()
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def read(ctx):
        rng = random.Random(3)
        acknowledged = 0
        while len(got) < len(source):
            rewind = rng.random() < 0.1
            acknowledged = rng.randint(acknowledged, len(got))
            ctx.set(dut.heard, acknowledged & 0xFFFF)
            ctx.set(dut.settle, 1)
            ctx.set(dut.rewind, rewind)
            await ctx.tick()
            ctx.set(dut.settle, 0)
            if rewind:
                del got[acknowledged:]
            assert ctx.get(dut.position) == len(got) & 0xFFFF
            assert ctx.get(dut.available) <= 64
            ctx.set(dut.o.ready, 1)
            for _ in range(rng.randint(0, 80)):
                _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
                if valid:
                    got.append(byte)
            ctx.set(dut.o.ready, 0)

    _run(dut, write, read)
    assert got == source


@pytest.mark.parametrize("pause", [0, 1])
def test_no_byte_is_taken_beyond_the_room_there_is(pause):
    dut = ReplayQueue(64)

    async def settle(ctx, heard):
        ctx.set(dut.heard, heard)
        ctx.set(dut.settle, 1)
        await ctx.tick()
        ctx.set(dut.settle, 0)

    async def testbench(ctx):
        for byte in range(64 - pause):
            await _put(ctx, dut.i, byte)
            for _ in range(pause):
                await ctx.tick()
        ctx.set(dut.i.valid, 1)
        for _ in range(5):
            await ctx.tick()
            assert not ctx.get(dut.i.ready)
        assert ctx.get(dut.available) == 64 - pause
        ctx.set(dut.i.valid, 0)
        await settle(ctx, 2)
        await ctx.tick().until(dut.i.ready)

    _run(dut, testbench)


def test_an_impossible_acknowledgement_is_ignored():
    dut = ReplayQueue(64)

    async def testbench(ctx):
        for byte in range(10):
            await _put(ctx, dut.i, byte)
        ctx.set(dut.heard, 11)
        ctx.set(dut.settle, 1)
        ctx.set(dut.rewind, 1)
        await ctx.tick()
        ctx.set(dut.settle, 0)
        assert ctx.get(dut.position) == 0
        assert ctx.get(dut.available) == 10

    _run(dut, testbench)


def test_what_was_accepted_after_all_is_not_repeated():
    """A request to go back, followed by an acknowledgement of a later position."""
    dut = ReplayQueue(64)

    async def settle(ctx, heard, rewind):
        ctx.set(dut.heard, heard)
        ctx.set(dut.rewind, rewind)
        ctx.set(dut.settle, 1)
        await ctx.tick()
        ctx.set(dut.settle, 0)

    async def testbench(ctx):
        for byte in range(10):
            await _put(ctx, dut.i, byte)
        ctx.set(dut.o.ready, 1)
        for _ in range(35):
            await ctx.tick()
        ctx.set(dut.o.ready, 0)
        assert ctx.get(dut.position) == 10
        await settle(ctx, 2, 1)
        assert ctx.get(dut.position) == 2
        await settle(ctx, 7, 0)
        assert ctx.get(dut.position) == 7
        await ctx.tick().until(dut.o.valid)
        assert ctx.get(dut.o.payload) == 7

    _run(dut, testbench)
