"""The gateware's end of a line over UDP: its parts, and the link behind it on a bad network."""

import random

import pytest
from amaranth import *
from amaranth.sim import Simulator

from summand.boards.link.datagram_receiver import DatagramReceiver
from summand.boards.link.datagram_sender import DatagramSender
from summand.boards.link.datagrams import DatagramLine
from summand.boards.link.protocol import Deframer, Frame, FrameKind
from summand.boards.udp_top import UdpLinkConfig
from summand.isa import ConfigError

#: Seconds of a simulated cycle.
CYCLE_S = 1e-6

HOST, OTHER = (0xC0A80102, 40000), (0xC0A80103, 50000)
PORT = 2000


def _datagram(sequence, frames, *, line=5, begins=False):
    header = sequence.to_bytes(4, "little") + (line | begins << 24).to_bytes(4, "little")
    assert len(frames) % 4 == 0
    return header + frames


async def _receive(ctx, source, datagram, *, host=HOST, error=False):
    """Put a datagram into the gateware as LiteEth's core does, a word a cycle."""
    ctx.set(source.ip_address, host[0])
    ctx.set(source.src_port, host[1])
    ctx.set(source.dst_port, PORT)
    ctx.set(source.valid, 1)
    for at in range(0, len(datagram), 4):
        last = at + 4 >= len(datagram)
        ctx.set(source.data, int.from_bytes(datagram[at : at + 4], "little"))
        ctx.set(source.last, last)
        ctx.set(source.error, last and error)
        assert ctx.get(source.ready)
        await ctx.tick()
    ctx.set(source.valid, 0)


class Collector:
    """Takes what leaves a :class:`DatagramSender`'s port, and checks how."""

    def __init__(self, sink, *, p_stall=0.0, seed=0):
        self._sink = sink
        self._p_stall = p_stall
        self._rng = random.Random(seed)
        self._words = []
        self._fields = None
        #: Datagrams, and to whom they went.
        self.got = []

    async def cycle(self, ctx):
        """Let a cycle pass."""
        sink = self._sink
        ready = self._rng.random() >= self._p_stall
        ctx.set(sink.ready, ready)
        fields = (sink.length, sink.ip_address, sink.dst_port, sink.src_port)
        taken = await ctx.tick().sample(sink.valid, sink.last, sink.last_be, sink.data, *fields)
        _, _, valid, last, last_be, data, *rest = taken
        if self._words:
            assert valid, "a word is missing in the middle"
        if not valid:
            return
        assert self._fields in (None, rest)
        self._fields = rest
        assert last_be == (8 if last else 0)
        if not ready:
            self._words = self._words or [b""]
            return
        self._words.append(data.to_bytes(4, "little"))
        if last:
            length, address, port, own = rest
            datagram = b"".join(self._words)
            assert (length, own) == (len(datagram), PORT)
            self.got.append((datagram, (address, port)))
            self._words, self._fields = [], None


def _run(dut, testbench):
    sim = Simulator(dut)
    sim.add_clock(CYCLE_S)
    sim.add_testbench(testbench)
    sim.run()


def _received(buffer_bytes, steps):
    """Give a receiver datagrams; returns the bytes that come out, and the line after each."""
    dut = DatagramReceiver(buffer_bytes)
    out, lines, begins = bytearray(), [], 0

    async def testbench(ctx):
        for datagram, options in steps:
            await _receive(ctx, dut.source, datagram, **options)
            line = ctx.get(dut.line)
            lines.append((line.number, (line.ip_address, line.host_port), line.own_port))
            for _ in range(6 * len(datagram) // 4 + 8):
                await ctx.tick()

    async def collect(ctx):
        nonlocal begins
        async for _, _, valid, byte, begin in ctx.tick().sample(
            dut.o.valid, dut.o.payload, dut.begins
        ):
            if valid:
                out.append(byte)
            begins += begin

    sim = Simulator(dut)
    sim.add_clock(CYCLE_S)
    sim.add_testbench(testbench)
    sim.add_testbench(collect, background=True)
    sim.run()
    return bytes(out), lines, begins


def test_late_datagrams_are_dropped():
    """As are those of another line that do not begin it; those that do take the board over."""
    steps, want = [], b""
    for n, (sequence, line, begins, error, taken) in enumerate(
        [
            (7, 5, False, False, False),  # no line is open
            (2**32 - 2, 5, True, False, True),
            (2**32 - 2, 5, True, False, False),  # doubled
            (2**32 - 3, 5, True, False, False),
            (1, 5, False, False, True),  # sequences wrap, datagrams are lost
            (0, 5, False, False, False),
            (2**31 + 1, 5, False, False, False),
            (9, 6, False, False, False),
            (2**31, 5, False, True, True),  # damaged, so it does not count
            (2, 5, False, False, True),
            (0, 6, True, True, True),
            (0, 6, True, False, True),
            (3, 5, False, False, False),  # the line before
            (1, 6, False, False, True),
        ]
    ):
        frames = bytes([n, n, n, n]) * (1 + n % 3)
        datagram = _datagram(sequence, frames, line=line, begins=begins)
        steps.append((datagram, {"host": OTHER if line == 6 else HOST, "error": error}))
        want += frames * taken
    out, lines, begins = _received(1024, steps)
    assert out == want
    assert begins == 2
    assert lines[1:] == [(5, HOST, PORT)] * 10 + [(6, OTHER, PORT)] * 3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_datagrams_are_taken_by_the_rule(seed):
    """Of two lines, with sequences near each other and about to wrap."""
    rng = random.Random(seed)
    steps, want, line, latest, changes = [], b"", None, 0, 0
    for n in range(120):
        sequence = (2**32 - 30 + n // 2 + rng.randrange(-3, 4)) % 2**32
        number, begins, error = rng.choice([5, 5, 6]), rng.random() < 0.3, rng.random() < 0.1
        frames = bytes([n] * 4 * rng.randrange(1, 4))
        steps.append((_datagram(sequence, frames, line=number, begins=begins), {"error": error}))
        ahead = (sequence - latest) % 2**32
        if 0 < ahead < 2**31 if number == line else begins:
            want += frames
            if not error:
                changes += number != line
                line, latest = number, sequence
    out, lines, begun = _received(1024, steps)
    assert out == want
    assert begun == changes > 5
    assert lines[-1][0] == line


def test_datagrams_without_frames_are_ignored():
    steps = [
        (_datagram(0, b"", begins=True)[:4], {}),
        (_datagram(0, b"", begins=True), {}),
        (_datagram(0, b"abcd", begins=True), {}),
    ]
    out, lines, begins = _received(1024, steps)
    assert (out, begins) == (b"abcd", 1)
    assert lines[-1] == (5, HOST, PORT)


def test_words_that_find_no_room_are_lost():
    """And no others: the next datagram comes whole."""
    long = random.Random(1).randbytes(400)
    out, _, _ = _received(64, [(_datagram(0, long, begins=True), {}), (_datagram(1, b"next"), {})])
    assert out.startswith(long[:64])
    assert len(out) < 400
    assert out.endswith(b"next")


def _sent(frames, *, p_stall=0.0, pause=0, cut=None, frame_bytes=640, seed=1):
    """Give a sender frames; returns what it sends. ``cut`` frames are cut off in the middle."""
    dut = DatagramSender(frame_bytes)
    collector = Collector(dut.sink, p_stall=p_stall, seed=seed)
    rng = random.Random(seed)

    async def testbench(ctx):
        ctx.set(
            dut.line, {"number": 5, "ip_address": HOST[0], "host_port": HOST[1], "own_port": PORT}
        )
        for n, frame in enumerate(frames):
            short = cut is not None and n in cut
            for byte in frame[: len(frame) // 2] if short else frame:
                ctx.set(dut.i.payload, byte)
                ctx.set(dut.i.valid, 1)
                while True:
                    ready = ctx.get(dut.i.ready)
                    await collector.cycle(ctx)
                    if ready:
                        break
                ctx.set(dut.i.valid, 0)
                for _ in range(rng.randrange(3)):
                    await collector.cycle(ctx)
            ctx.set(dut.cut, short)
            await collector.cycle(ctx)
            ctx.set(dut.cut, 0)
            for _ in range(pause):
                await collector.cycle(ctx)
        for _ in range(1000):
            await collector.cycle(ctx)

    _run(dut, testbench)
    assert {where for _, where in collector.got} == {HOST}
    return [datagram for datagram, _ in collector.got]


def _frames(seed, sizes):
    rng = random.Random(seed)
    return [Frame(kind=FrameKind.DATA, session=1, payload=rng.randbytes(n)).encode() for n in sizes]


@pytest.mark.parametrize("p_stall", [0.0, 0.6])
def test_frames_leave_in_datagrams(p_stall):
    sizes = [0, 640, 0, 1, 640, 640, *range(8), 640, 300]
    frames = _frames(2, sizes)
    got = _sent(frames, p_stall=p_stall)
    line = DatagramLine(5)
    bodies = [line.unwrap(datagram) for datagram in got]
    assert [int.from_bytes(d[:4], "little") for d in got] == list(range(len(got)))
    assert line.dropped == 0
    assert b"".join(bodies).replace(b"\x7e", b"") == b"".join(frames).replace(b"\x7e", b"")
    assert all(body[0] == 0x7E and body[-1] == 0x7E for body in bodies)
    assert max(map(len, got)) <= 1400
    assert len(got) <= 6  # full ones, not a datagram for each frame


def test_frames_that_come_late_leave_alone():
    assert len(_sent(_frames(3, [0] * 5), pause=20)) == 5
    assert len(_sent(_frames(3, [0] * 5), pause=10)) == 1


def test_a_frame_all_of_escapes_fits():
    frame = Frame(kind=FrameKind.DATA, session=1, payload=b"\x7e" * 640).encode()
    got = _sent([frame, frame])
    assert [len(d) for d in got] == [8 + len(frame) + -len(frame) % 4] * 2


def test_frames_that_are_cut_off():
    """What follows is whole, and in datagrams that are not too long."""
    frames = _frames(4, [640, 10, 640, 640, 0, 640, 0])
    got = _sent(frames, cut={0, 2, 3, 5}, p_stall=0.3)
    line, deframer = DatagramLine(5), Deframer()
    whole = [f for datagram in got for f in deframer.feed(line.unwrap(datagram)) if f]
    assert [len(f.payload) for f in whole] == [10, 0, 0]
    assert max(map(len, got)) <= 1400


def test_frames_must_fit_in_datagrams():
    with pytest.raises(ConfigError, match="frame_bytes must be at most 681, not 682"):
        UdpLinkConfig(frame_bytes=682)
    with pytest.raises(ConfigError, match="receive_bytes must be a power of two"):
        UdpLinkConfig(receive_bytes=1000)
    UdpLinkConfig(frame_bytes=681)
