"""The host's frames against the gateware's."""

import random
import re
from pathlib import Path

import pytest
from amaranth import *
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from summand.boards.link import frames, framing
from summand.boards.link.host import stream_rate
from summand.boards.link.protocol import PROTOCOL, Deframer, Frame, FrameKind

u16 = st.integers(0, 0xFFFF)
u8 = st.integers(0, 0xFF)
any_frame = st.builds(
    Frame,
    kind=st.sampled_from(FrameKind),
    session=u8,
    down_round=st.integers(0, 15),
    up_round=st.integers(0, 15),
    tag=u8,
    position=u16,
    accepted=u16,
    limit=u16,
    payload=st.binary(max_size=300) | st.lists(st.sampled_from([0x7D, 0x7E, 0x5E])).map(bytes),
)


def _example_frames():
    rng = random.Random(1)
    sizes = [0, 1, 2, 64, 0, 17]
    return [
        Frame(
            kind=FrameKind.DATA,
            session=rng.randrange(256),
            down_round=rng.randrange(16),
            up_round=rng.randrange(16),
            tag=0x7E,
            position=rng.randrange(1 << 16),
            accepted=0x7D7E,
            limit=rng.randrange(1 << 16),
            payload=bytes([0x7E, 0x7D, 0x20])[:size] + rng.randbytes(max(0, size - 3)),
        )
        for size in sizes
    ]


def test_the_document_shows_a_true_frame():
    text = (Path(__file__).parents[3] / "docs" / "link.md").read_text()
    (example,) = re.findall(r"^    (7E .* 7E)$", text, re.MULTILINE)
    frame = Frame(kind=FrameKind.OPEN, session=1, tag=PROTOCOL)
    assert bytes.fromhex(example) == frame.encode()


@given(st.lists(any_frame, max_size=5), st.integers(1, 50))
def test_frames_survive_the_line_in_any_pieces(sent, size):
    line = b"".join(f.encode() for f in sent)
    deframer = Deframer()
    got = [f for i in range(0, len(line), size) for f in deframer.feed(line[i : i + size])]
    assert got == sent


@given(any_frame, st.data())
def test_a_damaged_frame_is_never_taken_for_another(sent, data):
    """A changed, lost or doubled byte gives nothing, or the same frame."""
    line = sent.encode()
    at = data.draw(st.integers(0, len(line) - 1))
    flip = data.draw(st.integers(1, 255))
    for harmed in (
        line[:at] + bytes([line[at] ^ flip]) + line[at + 1 :],
        line[:at] + line[at + 1 :],
        line[: at + 1] + line[at:],
    ):
        got = Deframer().feed(b"\x7e" + harmed + b"\x7e")
        assert [f for f in got if f is not None] in ([], [sent])


@pytest.mark.parametrize("p_stall", [0.0, 0.5])
def test_gateware_sends_what_the_host_encodes(p_stall):
    sent = _example_frames()
    sender, framer = frames.FrameSender(64), framing.Framer()
    m = Module()
    m.submodules.sender, m.submodules.framer = sender, framer
    connect(m, sender.o, framer.i)
    want = b"".join(f.encode() for f in sent)
    got = bytearray()

    async def drive(ctx):
        for frame in sent:
            while not ctx.get(sender.idle):
                await ctx.tick()
            fields = ("kind", "session", "down_round", "up_round", "tag")
            header = {n: getattr(frame, n) for n in (*fields, "position", "accepted", "limit")}
            ctx.set(sender.job, {"header": header, "length": len(frame.payload)})
            ctx.set(sender.start, 1)
            await ctx.tick()
            ctx.set(sender.start, 0)
            rng = random.Random(2)
            for byte in frame.payload:
                while rng.random() < p_stall:
                    await ctx.tick()
                ctx.set(sender.payload.payload, byte)
                ctx.set(sender.payload.valid, 1)
                taken = False
                while not taken:
                    _, _, taken = await ctx.tick().sample(sender.payload.ready)
                ctx.set(sender.payload.valid, 0)

    async def collect(ctx):
        rng = random.Random(3)
        held = None
        while len(got) < len(want):
            ready = rng.random() >= p_stall
            ctx.set(framer.o.ready, ready)
            _, _, valid, byte = await ctx.tick().sample(framer.o.valid, framer.o.payload)
            assert held is None or (valid and byte == held)
            held = byte if valid and not ready else None
            if valid and ready:
                got.append(byte)

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(drive)
    sim.add_testbench(collect)
    sim.run_until(5e-3)
    assert got == want


def _received(line):
    """Return ``(good, session, position, payload and checksum)`` of each frame on a line."""
    deframer, receiver = framing.Deframer(), frames.FrameReceiver()
    m = Module()
    m.submodules.deframer, m.submodules.receiver = deframer, receiver
    connect(m, deframer.o, receiver.i)
    got = []

    async def testbench(ctx):
        payload = bytearray()
        ctx.set(deframer.i.valid, 1)
        for byte in line:
            ctx.set(deframer.i.payload, byte)
            await ctx.delay(0)
            if ctx.get(receiver.payload.valid):
                payload.append(ctx.get(receiver.payload.payload))
            if ctx.get(receiver.done):
                good = bool(ctx.get(receiver.good))
                header = ctx.get(receiver.header)
                got.append((good, header.session, header.position, bytes(payload)))
            if byte == 0x7E:
                payload.clear()
            await ctx.tick()

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return got


def test_gateware_receives_what_the_host_encodes():
    sent = _example_frames()
    got = _received(b"".join(f.encode() for f in sent))
    assert [(g, s, p, d[:-4]) for g, s, p, d in got] == [
        (True, f.session, f.position, f.payload) for f in sent
    ]


def test_gateware_refuses_what_is_damaged():
    frame = _example_frames()[3]
    good, rng = frame.encode(), random.Random(4)
    for _ in range(40):
        at = rng.randrange(len(good))
        harmed = rng.choice(
            [
                good[:at] + bytes([good[at] ^ 1 << rng.randrange(8)]) + good[at + 1 :],
                good[:at] + good[at + 1 :],
            ]
        )
        for ok, session, position, payload in _received(b"\x7e" + harmed + b"\x7e"):
            assert not ok or (session, position, payload[:-4]) == (
                frame.session,
                frame.position,
                frame.payload,
            )


@pytest.mark.parametrize("tail", [b"", b"\x7d", b"\x01", b"\x7d\x7d", b"\x7d\x5e"])
@pytest.mark.parametrize("head", [b"", b"\x01", b"\x7d", b"\x7e\x7d", b"\x7e\x01\x7e"])
def test_host_and_gateware_agree_on_odd_frames(head, tail):
    """Noise before a frame, and before its end."""
    good = _example_frames()[3].encode()
    line = b"\x7e" + head + good[:-1] + tail + b"\x7e" + good
    host = [frame is not None for frame in Deframer().feed(line)]
    assert [r[0] for r in _received(line)] == host
    assert host[-1]


def test_needless_escapes_are_undone():
    frame = Frame(kind=FrameKind.DATA, session=1, payload=b"]]^} ~" + bytes(range(256)))
    body = frame.encode()[1:-1].replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
    # A 0x5E cannot be escaped: it would look like a flag.
    escaped = b"".join(b"^" if b == 0x5E else bytes([0x7D, b ^ 0x20]) for b in body)
    line = b"\x7e" + escaped + b"\x7e"
    assert Deframer().feed(line) == [frame]
    assert _received(line)[0][0]


def test_nothing_with_a_right_checksum_is_no_frame():
    """An empty frame has a right checksum, because the CRC of no bytes is 0."""
    line = b"\x7e" + bytes(4) + b"\x7e"
    assert Deframer().feed(line) == [None]
    assert not _received(line)[0][0]


def test_the_rate_of_a_line_is_that_of_frames_of_random_bytes():
    rng = random.Random(2)
    frames = [
        Frame(kind=FrameKind.DATA, session=1, position=512 * n % 65536, payload=rng.randbytes(512))
        for n in range(1000)
    ]
    # A byte is ten bits on the line, and the flags of consecutive frames are their own.
    seconds = 10 * sum(len(frame.encode()) for frame in frames) / 3_000_000
    assert stream_rate(3_000_000) == pytest.approx(512 * len(frames) / seconds, rel=1e-3)
