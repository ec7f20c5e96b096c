"""A chip with a processor, a stock AXI DMA in simple mode and the engine's RTL, cycle by cycle."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from summand.isa import EngineConfig
from summand.rtl.feeds.block import AxiBlock

from .clocked import Clocked, Master

RUN, RESET = 1 << 0, 1 << 2
#: Where the memory is: above 4 GB, so that the upper half of an address matters.
_BASE, _BYTES = 0x8_0000_0000, 1 << 23

HALTED, IDLE, INTERNAL, DECODE, DONE = 1 << 0, 1 << 1, 1 << 4, 1 << 6, 1 << 12


class CachedBuffer:
    """Memory, and what the processor's cache holds of it: each sees the other when told to."""

    def __init__(self, address: int, memory: np.ndarray):
        self.device_address = address
        self.memory = memory
        self.cache = np.full(len(memory), 0x5A, np.uint8)
        self.freed = False

    def flush(self) -> None:
        self.memory[:] = self.cache

    def invalidate(self) -> None:
        self.cache[:] = self.memory

    def freebuffer(self) -> None:
        self.freed = True

    def __getitem__(self, key: slice) -> Any:
        return self.cache[key]

    def __setitem__(self, key: slice, value: Any) -> None:
        self.cache[key] = value


@dataclass
class Channel:
    """A direction's registers, and the transfer that is under way."""

    control: int = 0
    status: int = HALTED
    address: int = 0
    length: int = 0
    busy: bool = False
    moved: int = 0

    def stop(self, error: int) -> None:
        self.busy = False
        self.status |= error | HALTED
        self.control &= ~RUN


class Chip(Clocked):
    """What an ``Overlay`` shows of a chip.

    Its engine has a player where ``memory_beats`` is not 0, whose master reaches all buffers.
    """

    def __init__(
        self, config: EngineConfig, *, memory_beats: int = 0, pauses: float = 0.0, seed: int = 0
    ):
        self.config = config
        self.dma = DmaWindow(self)
        self.buffers: list[CachedBuffer] = []
        self._memory = bytearray(b"\xa5" * _BYTES)
        #: Length of every transfer to the engine, and from it.
        self.sent: list[int] = []
        self.received: list[int] = []
        self.resets_left = 0
        self._rng = random.Random(seed)
        self._pauses = pauses
        block = AxiBlock(config=config, memory_beats=memory_beats)
        dut: Any = block.top()
        steps: list[Any] = [_ToEngine(self), _FromEngine(self), self.dma]
        if block.bus:
            self.master = Master(dut, self._memory, block.bus.burst_beats, pauses, base=_BASE)
            steps.append(self.master)
        super().__init__(dut, steps)

    def allocate(self, size: int) -> CachedBuffer:
        end = self.buffers[-1].device_address + len(self.buffers[-1].memory) if self.buffers else 0
        address = max(_BASE, -(-end // 4096) * 4096)
        assert address + size <= _BASE + _BYTES, "the memory is full"
        memory = np.frombuffer(self._memory, np.uint8, size, address - _BASE)
        self.buffers.append(CachedBuffer(address, memory))
        return self.buffers[-1]

    def _find(self, address: int, size: int) -> np.ndarray | None:
        """Return the memory at an address, if there is so much."""
        for buffer in self.buffers:
            begin = address - buffer.device_address
            if begin >= 0 and begin + size <= len(buffer.memory) and not buffer.freed:
                return buffer.memory[begin : begin + size]
        return None

    def pauses(self) -> bool:
        return self._rng.random() < self._pauses


class _ToEngine:
    """MM2S: bytes of memory become beats, the last of them marked."""

    def __init__(self, chip: Chip):
        self.chip = chip
        self.valid = False

    def before(self, ctx: Any, dut: Any) -> None:
        channel = self.chip.dma.to_engine
        size = self.chip.config.beat_bytes
        if not channel.busy:
            self.valid = False  # a reset withdraws
        elif not self.valid and not self.chip.pauses():
            data = self.chip._find(channel.address + channel.moved, size)
            if data is None:
                channel.stop(DECODE)
            else:
                ctx.set(dut.s_axis_tdata, int.from_bytes(data.tobytes(), "little"))
                ctx.set(dut.s_axis_tlast, channel.moved + size == channel.length)
                self.valid = True
        ctx.set(dut.s_axis_tvalid, self.valid)

    def after(self, ctx: Any, dut: Any) -> None:
        channel = self.chip.dma.to_engine
        if self.valid and ctx.get(dut.s_axis_tready):
            self.valid = False
            channel.moved += self.chip.config.beat_bytes
            if channel.moved == channel.length:
                channel.busy = False
                channel.status |= DONE | IDLE
                self.chip.sent.append(channel.length)


class _FromEngine:
    """S2MM: beats go to memory until one is marked as the last."""

    def __init__(self, chip: Chip):
        self.chip = chip
        self.ready = False

    def before(self, ctx: Any, dut: Any) -> None:
        self.ready = self.chip.dma.from_engine.busy and not self.chip.pauses()
        ctx.set(dut.m_axis_tready, self.ready)

    def after(self, ctx: Any, dut: Any) -> None:
        channel = self.chip.dma.from_engine
        if not (self.ready and ctx.get(dut.m_axis_tvalid)):
            return
        size = self.chip.config.beat_bytes
        if channel.moved + size > channel.length:
            channel.stop(INTERNAL)  # the packet is longer than its buffer
            return
        place = self.chip._find(channel.address + channel.moved, size)
        if place is None:
            channel.stop(DECODE)
            return
        data = ctx.get(dut.m_axis_tdata).to_bytes(size, "little")
        place[:] = np.frombuffer(data, np.uint8)
        channel.moved += size
        if ctx.get(dut.m_axis_tlast):
            channel.busy = False
            channel.length = channel.moved
            channel.status |= DONE | IDLE
            self.chip.received.append(channel.moved)


class DmaWindow:
    """The AXI DMA's registers. Its stream is as wide as its memory, and nothing is realigned."""

    #: Cycles of an access, and of a reset.
    CYCLES, RESET_CYCLES = 4, 30

    def __init__(self, chip: Chip):
        self._chip = chip
        self.to_engine, self.from_engine = Channel(), Channel()
        self._reset = 0
        #: Whether a reset ever ends.
        self.recovers = True

    def before(self, ctx: Any, dut: Any) -> None:
        """Do nothing: the channels drive the engine."""

    def after(self, ctx: Any, dut: Any) -> None:
        self._reset -= self._reset > 0 and self.recovers

    def _channel(self, offset: int) -> tuple[Channel, int]:
        return (self.from_engine, offset - 0x30) if offset >= 0x30 else (self.to_engine, offset)

    def read(self, offset: int) -> int:
        self._chip.run(self.CYCLES)
        channel, place = self._channel(offset)
        match place:
            case 0x00:
                return channel.control | (RESET if self._reset else 0)
            case 0x04:
                return channel.status
            case 0x28:
                return channel.length
        raise AssertionError(f"nobody reads {offset:#x}")

    def write(self, offset: int, value: int) -> None:
        self._chip.run(self.CYCLES)
        channel, place = self._channel(offset)
        match place:
            case 0x00 if value & RESET:
                self._reset = self.RESET_CYCLES
                self.to_engine, self.from_engine = Channel(), Channel()
            case 0x00:
                assert not self._reset, "written to while it is reset"
                channel.control = value
                channel.status &= ~HALTED
            case 0x04:
                channel.status &= ~(value & DONE)
            case 0x18:
                channel.address = channel.address >> 32 << 32 | value
            case 0x1C:
                channel.address = channel.address & 0xFFFFFFFF | value << 32
            case 0x28:
                self._start(channel, value)
            case _:
                raise AssertionError(f"nobody writes {offset:#x}")

    def _start(self, channel: Channel, length: int) -> None:
        size = self._chip.config.beat_bytes
        assert not channel.busy, "a transfer is under way"
        assert channel.control & RUN, "it is not running"
        assert channel.address % size == 0, f"{channel.address:#x} is not a beat's address"
        assert length < 1 << 26, f"{length} bytes are too many"
        if length == 0:
            channel.stop(INTERNAL)
            return
        assert length % size == 0, f"{length} bytes are not whole beats"
        channel.length, channel.moved, channel.busy = length, 0, True
        channel.status &= ~IDLE
