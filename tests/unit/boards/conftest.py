"""A line between a host and gateware in Amaranth's simulator, that loses and damages bytes."""

import random
from collections import deque
from typing import Any

import pytest
from amaranth import *
from amaranth.lib.fifo import SyncFIFO
from amaranth.sim import Simulator

from summand.boards.link.host import HostLink, LinePace
from summand.boards.link.link import Link, LinkConfig
from summand.boards.link.protocol import PROTOCOL, Deframer, Frame, FrameKind
from summand.isa.registers import REGISTERS

#: Seconds of a simulated cycle.
CYCLE_S = 1e-6


class Noise:
    """Damages bytes: each is dropped, doubled or has a bit flipped with its probability."""

    def __init__(self, *, flip=0.0, drop=0.0, double=0.0, seed=0):
        self._rng = random.Random(seed)
        self._flip, self._drop, self._double = flip, drop, double
        self.harmed = 0

    def __call__(self, data):
        out = bytearray()
        for byte in data:
            r = self._rng.random()
            self.harmed += r < self._flip + self._drop + self._double
            if r < self._drop:
                continue
            if r < self._drop + self._double:
                out.append(byte)
            elif r < self._drop + self._double + self._flip:
                byte ^= 1 << self._rng.randrange(8)
            out.append(byte)
        return bytes(out)


class EchoTop(Elaboratable):
    """A link whose engine sends back what it gets, each byte plus one, through a small FIFO; it can
    be made to take nothing, and to give nothing."""

    def __init__(self, config):
        self.link = Link(config)
        self.pause = Signal()
        self.swallow = Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = self.link
        fifo = SyncFIFO(width=8, depth=16)
        m.submodules.fifo = ResetInserter(link.reset)(fifo)
        access = link.registers
        m.d.comb += [
            fifo.w_data.eq(link.down.payload + 1),
            fifo.w_en.eq(link.down.valid & ~self.pause & ~self.swallow),
            link.down.ready.eq(fifo.w_rdy & ~self.pause),
            link.up.payload.eq(fifo.r_data),
            link.up.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(link.up.ready),
        ]
        # One register that counts its writes in its upper half.
        register = Signal(32)
        m.d.comb += access.value.eq(register + access.offset)
        m.d.sync += access.done.eq(access.strobe)
        with m.If(access.strobe & access.write):
            m.d.sync += [register[:16].eq(access.data[:16]), register[16:].eq(register[16:] + 1)]
        return m


class Bench:
    """Runs ``scenario(bench)``, a coroutine, against an echoing link of ``pace`` cycles a byte."""

    _ctx: Any

    def __init__(
        self,
        config=None,
        *,
        pace=3,
        to_board=None,
        to_host=None,
        frame_bytes=64,
        limit=600_000,
    ):
        self.top = EchoTop(config or LinkConfig())
        self.pace = pace
        self.to_board = to_board or Noise()
        self.to_host = to_host or Noise()
        self.limit = limit
        self.cycle = 0
        self._line = deque()
        self._heard = bytearray()
        self.frame_bytes = frame_bytes
        line = LinePace(byte_s=pace * CYCLE_S, turnaround_s=2e-4, frame_bytes=frame_bytes)
        self.host = HostLink(line)

    @property
    def now(self):
        return self.cycle * CYCLE_S

    async def until(self, condition, *, listening=True, pump=True):
        """Let the link work until ``condition()``."""
        while not condition():
            assert self.cycle < self.limit, "takes too long"
            if pump:
                self.host.receive(self.to_host(bytes(self._heard)), self.now)
                self._heard.clear()
                if len(self._line) < 2 * self.frame_bytes:
                    budget = self.frame_bytes
                    sent = self.host.transmit(self.now, listening=listening, budget=budget)
                    self._line.extend(self.to_board(sent))
            await self._byte()

    async def cycles(self, count):
        """Let time pass without the host."""
        end = self.cycle + count
        await self.until(lambda: self.cycle >= end, pump=False)

    async def _byte(self):
        ctx, link = self._ctx, self.top.link
        if self._line:
            ctx.set(link.i.payload, self._line.popleft())
            ctx.set(link.i.valid, 1)
        ctx.set(link.o.ready, 1)
        for _ in range(self.pace):
            _, _, valid, ready, byte = await ctx.tick().sample(
                link.o.valid, link.o.ready, link.o.payload
            )
            if valid and ready:
                self._heard.append(byte)
            ctx.set(link.i.valid, 0)
            ctx.set(link.o.ready, 0)
            self.cycle += 1

    def inject(self, data):
        """Put bytes on the line to the board."""
        self._line.extend(data)

    async def exchange(self, line, *, cycles=120):
        """Put bytes on the line to the board, without the host; return the frames that answer."""
        self.inject(line)
        end = self.cycle + cycles + self.pace * len(line)
        await self.until(lambda: self.cycle >= end, pump=False)
        answers = Deframer().feed(bytes(self._heard))
        self._heard.clear()
        return answers

    def set(self, signal, value):
        self._ctx.set(signal, value)

    def run(self, scenario):
        async def testbench(ctx):
            self._ctx = ctx
            await scenario(self)

        sim = Simulator(self.top)
        sim.add_clock(CYCLE_S)
        sim.add_testbench(testbench)
        sim.run()


class ModelBoard:
    """A model of a board with ``engine`` at its serial line, without gateware: bytes to bytes.

    Written from docs/link.md, to test the host with more bytes than a simulation carries.
    """

    ROOM, WINDOW, LONGEST = 8188, 4096, 512

    def __init__(self, engine):
        self.engine = engine
        self.power_up()

    def power_up(self):
        self._deframer = Deframer()
        self._session = self._tag = 0
        self._clear()

    def _clear(self):
        self._accepted = self._heard = self._next = 0
        self._down_round = self._up_round = 0
        self._gap = False
        self._out = bytearray()  # from `_heard` on

    def __call__(self, data):
        """Take bytes off the line, return bytes for the line."""
        out = b""
        for frame in self._deframer.feed(data):
            answer = self._answer(frame)
            if answer:
                out += answer.encode()
        while self._session and (payload := self._payload()):
            out += self._data(payload).encode()
        return out

    def _answer(self, frame):
        if frame is None:
            self._gap = True
            return self._data(b"") if self._session else None
        if frame.kind is FrameKind.OPEN:
            self._clear()
            self.engine.write_register("reset", 1)
            self._session, self._tag = frame.session, None
            return Frame(
                kind=FrameKind.HELLO,
                session=self._session,
                tag=PROTOCOL,
                position=self.LONGEST,
                accepted=self.WINDOW,
                limit=self.ROOM,
            )
        if frame.session != self._session:
            return self._data(b"")
        if frame.kind is FrameKind.READ:
            names = {r.offset: r.name for r in REGISTERS}
            value = self.engine.read_register(names[frame.limit])
            return Frame.request(
                FrameKind.VALUE,
                session=self._session,
                tag=frame.tag,
                offset=frame.limit,
                value=value,
            )
        self._take(frame)
        return self._data(b"")

    def _take(self, frame):
        news = (frame.accepted - self._heard) & 0xFFFF
        assert news <= len(self._out)
        del self._out[:news]
        self._heard += news
        if frame.up_round != self._up_round or self._next < self._heard:
            self._next = self._heard
        if frame.down_round != self._down_round:
            self._gap = False
        self._up_round, self._down_round = frame.up_round, frame.down_round
        ahead = (frame.position - self._accepted) & 0xFFFF
        if not ahead:
            self._accepted += len(frame.payload)
            self._gap = False
            self.engine.write([frame.payload])
        elif ahead < 0x8000:
            self._gap = True

    def _payload(self):
        room = self._heard + self.WINDOW - self._next
        self._out += self.engine.read(self.WINDOW - len(self._out))
        begin = self._next - self._heard
        return bytes(self._out[begin : begin + min(room, self.LONGEST)])

    def _data(self, payload):
        position = self._next
        self._next += len(payload)
        return Frame(
            kind=FrameKind.DATA,
            session=self._session,
            down_round=self._down_round,
            up_round=self._up_round,
            tag=self._gap,
            position=position & 0xFFFF,
            accepted=self._accepted & 0xFFFF,
            limit=(self._accepted + self.ROOM) & 0xFFFF,
            payload=payload,
        )


@pytest.fixture(scope="session")
def model_board():
    return ModelBoard


@pytest.fixture
def noise():
    return Noise


@pytest.fixture
def bench():
    return Bench
