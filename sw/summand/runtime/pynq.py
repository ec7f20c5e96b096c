"""An engine on the processor's own chip, fed by a stock AXI DMA."""

import time
from collections import deque
from collections.abc import Callable

from summand.isa import EngineConfig
from summand.isa.packets import data_packet_bytes, status_packet_bytes
from summand.isa.registers import register
from summand.runtime.errors import DeviceError
from summand.runtime.memory.layout import EMPTY
from summand.runtime.overlay import Buffer, Overlay
from summand.runtime.pumped import PumpedDevice
from summand.runtime.windows import Window

__all__ = ["PynqDevice"]

#: Bytes of a buffer of the input stream, at most.
_SEND_BYTES = 1 << 20
#: The longest transfer, of 26 bits of length.
_MOST_BYTES = (1 << 26) - 1
#: How long a reset of the AXI DMA may take, or the end of what a player has asked its memory for.
_RESET_S = 10
#: A player's memory begins at a multiple of so many bytes.
_BASE_BYTES = 4096
#: What a player's status says while its memory has not ended what it was asked for.
_UNDER_WAY = 1 << 1

# Registers of a direction of the AXI DMA, and their bits.
_CONTROL, _STATUS, _LOW, _HIGH, _LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
_TO_ENGINE, _FROM_ENGINE = 0x00, 0x30
_RUN, _RESET = 1 << 0, 1 << 2
_DONE = 1 << 12
_ERRORS = {
    1 << 4: "a transfer has no length, or a packet is longer than its buffer",
    1 << 5: "the memory refuses an access",
    1 << 6: "an address is nobody's",
}


class _Channel:
    """One direction of the AXI DMA: a transfer at a time."""

    def __init__(self, dma: Window, base: int, what: str):
        self._dma = dma
        self._base = base
        self._what = what
        self.busy = False

    def run(self) -> None:
        """Get ready for transfers, after a reset."""
        self._dma.write(self._base + _CONTROL, _RUN)
        self.busy = False

    def start(self, buffer: Buffer, nbytes: int) -> None:
        """Start a transfer."""
        self._dma.write(self._base + _STATUS, _DONE)  # which clears it
        self._dma.write(self._base + _LOW, buffer.device_address & 0xFFFFFFFF)
        self._dma.write(self._base + _HIGH, buffer.device_address >> 32)
        self._dma.write(self._base + _LENGTH, nbytes)
        self.busy = True

    def ended(self) -> bool:
        """Return whether the transfer has ended; raises :class:`DeviceError` if it failed."""
        if not self.busy:
            return False
        status = self._dma.read(self._base + _STATUS)
        for bit, meaning in _ERRORS.items():
            if status & bit:
                raise DeviceError(
                    f"the AXI DMA has stopped {self._what} the engine (status {status:#x}): "
                    f"{meaning}; reset the device"
                )
        self.busy = not status & _DONE
        return not self.busy

    def moved(self) -> int:
        """Return how many bytes the last transfer brought."""
        return self._dma.read(self._base + _LENGTH)


class PynqDevice(PumpedDevice):
    """An engine in an overlay; a :class:`~summand.runtime.device.Device`.

    The AXI DMA works on two buffers in turn in each direction: the processor fills or empties one
    while it works on the other. Every packet is a transfer, because its last beat is marked.
    Opening resets the engine. One with a player gets a buffer as its memory, which is empty then;
    what is written to the device is items.

    Parameters
    ----------
    config : EngineConfig
        The engine's, as expected; the driver compares its digest with the registers.
    overlay : Overlay
        The loaded design; its buffers are given back with the device.
    send_bytes : int
        Bytes of a buffer of the input stream, at most; at least a beat.
    clock : callable
        The time in seconds.

    Raises
    ------
    DeviceError
        In the constructor and all methods, if the AXI DMA stops with an error, the engine may send
        a packet that is longer than any transfer, or there is no memory for a player.
    """

    def __init__(
        self,
        config: EngineConfig,
        overlay: Overlay,
        *,
        send_bytes: int = _SEND_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(clock)
        self._config = config
        self._overlay = overlay
        self._send_bytes = send_bytes // config.beat_bytes * config.beat_bytes
        self._packet_bytes = _longest_packet(config)
        self._sender = _Channel(overlay.dma, _TO_ENGINE, "sending to")
        self._receiver = _Channel(overlay.dma, _FROM_ENGINE, "receiving from")
        #: Size of the player's memory; 0 without one.
        self.memory_beats = 0
        self._buffers: list[Buffer] = []
        try:
            self._sending = [self._allocate(self._send_bytes) for _ in range(2)]
            self._receiving = deque(self._allocate(self._packet_bytes) for _ in range(2))
            for buffer in self._receiving:
                buffer.flush()  # or a cache writes over a packet later
            self._open()
            if overlay.played:
                self._give_memory()
        except DeviceError:
            self._free()
            raise

    @property
    def config(self) -> EngineConfig:
        """The configuration that this engine is believed to have."""
        return self._config

    def _waits(self) -> bool:
        return super()._waits() or len(self._filled) > self._sender.busy

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._overlay.engine.read(register(name).offset)

    def write_register(self, name: str, value: int) -> None:
        """Write a register. ``reset`` empties both directions too."""
        if name == "reset" and value & 1:
            self._open()
        else:
            self._overlay.engine.write(register(name).offset, value)

    def close(self) -> None:
        """Stop the AXI DMA and a player, and give the buffers back."""
        self._reset_dma()
        if self.memory_beats:
            self.write_register("reset", 1)
            self._rest()
        self._free()

    def _allocate(self, size: int) -> Buffer:
        self._buffers.append(self._overlay.allocate(size))
        return self._buffers[-1]

    def _free(self) -> None:
        for buffer in self._buffers:
            buffer.freebuffer()

    def _give_memory(self) -> None:
        """Let a buffer be the player's memory."""
        beats = self.read_register("memory_beats")
        buffer = self._allocate(beats * self._config.beat_bytes)
        address = buffer.device_address
        if address % _BASE_BYTES:
            raise DeviceError(
                f"the buffer for weights begins at {address:#x}, which is no multiple of "
                f"{_BASE_BYTES}; take another allocator"
            )
        buffer.flush()  # or a cache writes over weights later
        self._rest()
        for name, value in (("base", address), ("epoch", EMPTY)):
            self.write_register(f"{name}_lo", value & 0xFFFFFFFF)
            self.write_register(f"{name}_hi", value >> 32)
        self.memory_beats = beats

    def _rest(self) -> None:
        """Wait until nothing is under way between player and memory, after a reset."""
        deadline = self._clock() + _RESET_S
        while self.read_register("player_status") & _UNDER_WAY:
            if self._clock() > deadline:
                raise DeviceError(
                    "the player's memory does not end what it was asked for; is the engine's bus "
                    "joined to a port of the memory that is open? Load the bitstream again"
                )

    def _open(self) -> None:
        """Reset the AXI DMA, then the engine, and forget all that was under way."""
        self._reset_dma()
        self._overlay.engine.write(register("reset").offset, 1)
        self._forget()
        #: Buffers to fill, and filled ones with their bytes; the first of these is being sent.
        self._empty = deque(self._sending)
        self._filled: deque[tuple[Buffer, int]] = deque()
        for channel in (self._sender, self._receiver):
            channel.run()
        self._receiver.start(self._receiving[0], self._packet_bytes)

    def _reset_dma(self) -> None:
        """Reset both directions: either's bit does."""
        dma = self._overlay.dma
        dma.write(_TO_ENGINE + _CONTROL, _RESET)
        deadline = self._clock() + _RESET_S
        while dma.read(_TO_ENGINE + _CONTROL) & _RESET:
            if self._clock() > deadline:
                raise DeviceError(
                    "the AXI DMA does not end its reset; load the bitstream again, and check the "
                    "addresses of its cells"
                )

    def _pump(self) -> bool:
        """Do what can be done now; returns whether that was anything."""
        moved = False
        if self._receiver.ended():
            size = self._receiver.moved()
            self._receiving.rotate(1)
            self._receiver.start(self._receiving[0], self._packet_bytes)
            packet = self._receiving[1]
            packet.invalidate()
            self._received += bytes(packet[:size])
            moved = True
        if self._sender.ended():
            buffer, _ = self._filled.popleft()
            self._empty.append(buffer)
            moved = True
        if self._filled and not self._sender.busy:
            self._sender.start(*self._filled[0])
            moved = True
        if self._queue and self._empty:
            self._fill(self._empty.popleft())
            moved = True
        return moved

    def _fill(self, buffer: Buffer) -> None:
        """Fill a buffer from the queue."""
        size = 0
        for part in self._queue.take(self._send_bytes):
            buffer[size : size + len(part)] = part
            size += len(part)
        buffer.flush()
        self._filled.append((buffer, size))


def _longest_packet(config: EngineConfig) -> int:
    """Return the bytes of the longest packet; raises if no transfer takes it."""
    longest = max(
        data_packet_bytes(config, rows=config.rows, tiles=config.acc_depth),
        status_packet_bytes(config),
    )
    if longest > _MOST_BYTES:
        raise DeviceError(
            f"the engine's longest packet, {longest:,} bytes, is longer than a transfer of the AXI "
            f"DMA, {_MOST_BYTES:,} bytes; lower rows, cols or acc_depth"
        )
    return longest
