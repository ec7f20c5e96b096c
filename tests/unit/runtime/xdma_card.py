"""A card with XDMA and the engine's RTL: sockets in place of its driver's files."""

import io
import random
import select
import socket
import struct
import threading
import time
from collections import deque
from typing import Any

from summand.isa import EngineConfig
from summand.rtl.feeds.block import AxiBlock
from summand.runtime.xdma import Xdma

from .clocked import Clocked, Master

#: Bytes that the card keeps of each direction.
_FIFO_BYTES = 1024
#: A descriptor's bytes: a read brings no more, and never parts of two packets.
_DESCRIPTOR_BYTES = 4096
#: Cycles for which the clock goes on between looks at the sockets.
_SLICE = 20
#: Cycles in a row in which nothing moves before the card waits for its host.
_QUIET_CYCLES = 400


class Card:
    """What an ``Xdma`` shows of a card. Its clock runs in a thread.

    A write ends when all its bytes are in the card, a read when a packet ends. A read in which
    nothing comes ends as well, after ``patience_s``. Its engine has a player where
    ``memory_beats`` is not 0, and ``memory`` on its bus.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        memory_beats: int = 0,
        pauses: float = 0.0,
        patience_s: float = 0.2,
    ):
        self._to = _ToEngine(config, pauses)
        self._from = _FromEngine(config, pauses)
        self.memory = bytearray(b"\xa5" * (memory_beats * config.beat_bytes))
        block = AxiBlock(config=config, memory_beats=memory_beats)
        dut: Any = block.top()
        steps: list[Any] = [self._to, self._from]
        if block.bus:
            steps.append(Master(dut, self.memory, block.bus.burst_beats, pauses))
        self._engine = Clocked(dut, steps)
        self._lock = threading.Lock()
        self._over = False
        host, self._input = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        host.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _FIFO_BYTES)
        self._output, sink = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._output.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _DESCRIPTOR_BYTES)
        seconds, rest = divmod(patience_s, 1)
        limit = struct.pack("ll", int(seconds), int(rest * 1e6))
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        files = [io.FileIO(host.detach(), "w"), io.FileIO(sink.detach(), "r")]
        self.closed = False
        self.xdma = Xdma(
            name="the card",
            to_card=files[0],
            from_card=files[1],
            registers=self,
            close=lambda: self._close(files),
        )
        self._input.setblocking(False)
        self._output.setblocking(False)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def packets(self) -> int:
        """How many packets have left the engine whole."""
        return self._from.packets

    def read(self, offset: int) -> int:
        with self._lock:
            return self._engine.engine.read(offset)

    def write(self, offset: int, value: int) -> None:
        with self._lock:
            self._engine.engine.write(offset, value)

    def settle(self) -> None:
        """Let the card's clock go on until nothing has moved for longer than a reset takes."""
        with self._lock:
            quiet = 0
            while quiet < 5 * _SLICE:
                quiet = 0 if self._advance() else quiet + _SLICE

    def close(self) -> None:
        """Stop the clock, and take the card out."""
        self._over = True
        self._thread.join()
        self._engine.close()
        self._input.close()
        self._output.close()
        if not self.closed:
            self.xdma.close()

    def _close(self, files: list[io.FileIO]) -> None:
        for file in files:
            file.close()
        self.closed = True

    def _run(self) -> None:
        quiet = 0
        while not self._over:
            with self._lock:
                quiet = 0 if self._advance() else quiet + _SLICE
            time.sleep(0.0001)  # or whoever waits for the lock would not get it
            if quiet > _QUIET_CYCLES:
                select.select([self._input], [], [], 0.01)

    def _advance(self) -> bool:
        """Let a few cycles pass; returns whether anything moved."""
        moved = self._exchange()
        self._engine.run(_SLICE)
        moved |= self._to.moved or self._from.moved
        self._to.moved = self._from.moved = False
        return moved

    def _exchange(self) -> bool:
        """Move bytes between sockets and FIFOs; returns whether any did."""
        moved = False
        try:
            if room := _FIFO_BYTES - len(self._to.fifo):
                got = self._input.recv(room)
                self._to.fifo += got
                moved = bool(got)
        except BlockingIOError:
            pass
        try:
            while self._from.transfers:
                self._output.send(self._from.transfers[0])
                self._from.transfers.popleft()
                moved = True
        except (BlockingIOError, BrokenPipeError):
            pass
        return moved


class _ToEngine:
    """H2C: bytes become beats."""

    def __init__(self, config: EngineConfig, pauses: float):
        self.fifo = bytearray()
        self.moved = False
        self._size = config.beat_bytes
        self._pauses = pauses
        self._rng = random.Random(1)
        self._valid = False

    def before(self, ctx: Any, dut: Any) -> None:
        if not self._valid and len(self.fifo) >= self._size and self._rng.random() >= self._pauses:
            ctx.set(dut.s_axis_tdata, int.from_bytes(self.fifo[: self._size], "little"))
            self._valid = True
        ctx.set(dut.s_axis_tvalid, self._valid)

    def after(self, ctx: Any, dut: Any) -> None:
        if self._valid and ctx.get(dut.s_axis_tready):
            del self.fifo[: self._size]
            self._valid = False
            self.moved = True


class _FromEngine:
    """C2H: beats become transfers, which end with a packet or a descriptor."""

    def __init__(self, config: EngineConfig, pauses: float):
        self.transfers: deque[bytes] = deque()
        self.moved = False
        self.packets = 0
        self._size = config.beat_bytes
        self._pauses = pauses
        self._rng = random.Random(2)
        self._transfer = bytearray()
        self._ready = False

    def before(self, ctx: Any, dut: Any) -> None:
        waiting = sum(map(len, self.transfers))
        self._ready = waiting < _FIFO_BYTES and self._rng.random() >= self._pauses
        ctx.set(dut.m_axis_tready, self._ready)

    def after(self, ctx: Any, dut: Any) -> None:
        if not (self._ready and ctx.get(dut.m_axis_tvalid)):
            return
        self.moved = True
        self._transfer += ctx.get(dut.m_axis_tdata).to_bytes(self._size, "little")
        last = ctx.get(dut.m_axis_tlast)
        self.packets += last
        if last or len(self._transfer) == _DESCRIPTOR_BYTES:
            self.transfers.append(bytes(self._transfer))
            self._transfer.clear()
