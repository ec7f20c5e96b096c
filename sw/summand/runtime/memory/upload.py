"""Brings a board's memory to what a layout says, and makes sure of it."""

import time
import zlib
from collections.abc import Callable

from summand.isa.player import Item, ItemOp, PlayerError, Refusal
from summand.runtime.device import Device
from summand.runtime.errors import DeviceTimeout
from summand.runtime.memory.layout import EMPTY, PARTIAL, BoardMemoryError, MemoryLayout

__all__ = ["UploadProgress", "upload"]

#: Bytes that are sent before their checksum is asked for.
_PIECE = 1 << 18

#: Times that a piece is sent before the memory is refused.
_TRIES = 2

#: The slowest link, in bytes a second, that an upload waits for.
_SLOW_BYTES_S = 10_000

#: Seconds without an answer, beyond what the slowest link takes.
_PATIENCE_S = 30.0

#: Called with the bytes that are there and those that are to be.
UploadProgress = Callable[[int, int], None]


def upload(device: Device, layout: MemoryLayout, progress: UploadProgress | None = None) -> int:
    """Write what a layout says to a device's memory, where it is not there already.

    A memory with the layout's epoch is taken as it is. One that was written before is compared
    piece by piece, so that an upload that was broken off goes on where it was, and a model that
    shares its beginning with the one before sends the rest alone.

    Parameters
    ----------
    device : Device
        Takes items; nothing is under way.
    layout : MemoryLayout
        What the memory is to hold.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    int
        Bytes that were sent.

    Raises
    ------
    BoardMemoryError
        If a piece's checksum is wrong again after it was sent twice; the text names the bytes.
    PlayerError
        If the player refuses an item, or the memory an access.
    DeviceTimeout
        If the player does not come to an end.
    """
    epoch = _epoch(device)
    if epoch == layout.epoch:
        return 0
    port = _Port(device)
    _set_epoch(device, PARTIAL)
    sent = 0
    for first, piece in layout.pieces(_PIECE):
        wanted = zlib.crc32(piece)
        there = epoch != EMPTY and port.checksum(first, len(piece)) == wanted
        for _ in range(_TRIES):
            if there:
                break
            port.write(first, piece)
            sent += len(piece)
            there = port.checksum(first, len(piece)) == wanted
        if not there:
            start = first * device.config.beat_bytes
            raise BoardMemoryError(
                f"the board's memory does not keep what was written to bytes {start:#x} to "
                f"{start + len(piece) - 1:#x}: their checksum was wrong {_TRIES} times; load the "
                f"bitstream again, and if it stays so, the memory or its timings are at fault"
            )
        if progress:
            progress(first * device.config.beat_bytes + len(piece), layout.nbytes)
    _set_epoch(device, layout.epoch)
    return sent


class _Port:
    """Items for the memory alone, and the end of each awaited."""

    def __init__(self, device: Device):
        self._device = device
        self._config = device.config
        self._items = device.read_register("player_items")

    def write(self, first: int, piece: bytes) -> None:
        beats = len(piece) // self._config.beat_bytes
        self._device.write([Item(ItemOp.WRITE, beats, first).encode(self._config), piece])
        self._await(len(piece))

    def checksum(self, first: int, nbytes: int) -> int:
        beats = nbytes // self._config.beat_bytes
        self._device.write([Item(ItemOp.CRC, beats, first).encode(self._config)])
        self._await(nbytes)
        return self._device.read_register("player_crc")

    def _await(self, nbytes: int) -> None:
        """Wait until the item that was sent is finished."""
        self._items = (self._items + 1) & 0xFFFFFFFF
        deadline = time.monotonic() + _PATIENCE_S + nbytes / _SLOW_BYTES_S
        while (items := self._device.read_register("player_items")) != self._items:
            status = self._device.read_register("player_status")
            if code := status >> 8 & 0xFF:
                raise PlayerError(Refusal(code), items)
            if time.monotonic() > deadline:
                raise DeviceTimeout(
                    f"an item for the memory has not ended for {_PATIENCE_S:g} s and more; "
                    + (
                        "the memory does not answer: is its controller initialised?"
                        if status & 2
                        else "the player waits for the item's beats: was the link lost?"
                    )
                )


def _epoch(device: Device) -> int:
    return device.read_register("epoch_hi") << 32 | device.read_register("epoch_lo")


def _set_epoch(device: Device, epoch: int) -> None:
    device.write_register("epoch_lo", epoch & 0xFFFFFFFF)
    device.write_register("epoch_hi", epoch >> 32)
