"""A device whose weights lie in its memory."""

from collections.abc import Iterable, Sequence

from summand.isa import EngineConfig
from summand.isa.player import Item, ItemOp, PlayerError, Refusal
from summand.runtime.device import Device
from summand.runtime.errors import DeviceTimeout
from summand.runtime.memory.layout import MemoryLayout
from summand.runtime.memory.upload import UploadProgress, upload

__all__ = ["PlayedDevice"]


class PlayedDevice:
    """Turns an engine's stream into items: what the memory holds is played, the rest is sent.

    Parameters
    ----------
    device : Device
        Takes items; owned from here on.
    """

    def __init__(self, device: Device):
        self._device = device
        self._layout = MemoryLayout(device.config, device.read_register("memory_beats"))
        #: Bytes of items that went to the device, uploads left out.
        self.sent_bytes = 0
        #: Bytes of packets that came back.
        self.received_bytes = 0
        #: Bytes of the stream that the device's memory gave.
        self.played_bytes = 0

    @property
    def config(self) -> EngineConfig:
        """The engine's configuration."""
        return self._device.config

    @property
    def held_bytes(self) -> int:
        """Bytes that the memory holds."""
        return self._layout.nbytes

    def hold(self, payloads: Iterable[bytes], progress: UploadProgress | None = None) -> int:
        """Let the memory hold payloads of commands beside those that it holds.

        Parameters
        ----------
        payloads : iterable of bytes
            The objects that later writes have as chunks of their own.
        progress : callable, optional
            Called with bytes done and bytes in all.

        Returns
        -------
        int
            Bytes that were sent.

        Raises
        ------
        BoardMemoryError
            If the memory is too small, before anything is sent, or does not keep what it is given.
        PlayerError
            If the player or the memory refuses it.
        """
        self._layout.add(payloads)
        return upload(self._device, self._layout, progress)

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue bytes of the engine's stream; chunks that the memory holds are played from it."""
        config = self.config
        items: list[bytes | memoryview] = []
        sent: list[bytes | memoryview] = []

        def flush() -> None:
            if sent:
                beats = sum(memoryview(c).nbytes for c in sent) // config.beat_bytes
                items.append(Item(ItemOp.LITERAL, beats).encode(config))
                items.extend(sent)
                sent.clear()

        for chunk in chunks:
            if (place := self._layout.place(chunk)) is None:
                sent.append(chunk)
                continue
            flush()
            items.append(Item(ItemOp.PLAY, len(chunk) // config.beat_bytes, place).encode(config))
            self.played_bytes += len(chunk)
        flush()
        self.sent_bytes += sum(memoryview(c).nbytes for c in items)
        self._device.write(items)

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return exactly ``nbytes`` of the output stream.

        Raises
        ------
        PlayerError
            If they do not come because the player has stopped.
        TimeoutError
            If they do not come for another reason.
        """
        try:
            found = self._device.read(nbytes, timeout_s)
        except TimeoutError as e:
            status = self._device.read_register("player_status")
            if code := status >> 8 & 0xFF:
                items = self._device.read_register("player_items")
                raise PlayerError(Refusal(code), items) from None
            if status & 2:
                raise DeviceTimeout(
                    f"{e}; the board's memory has not ended what it was asked for: is its "
                    f"controller initialised, and does its address lie in the memory?"
                ) from None
            raise
        self.received_bytes += nbytes
        return found

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._device.read_register(name)

    def write_register(self, name: str, value: int) -> None:
        """Write a register; what the memory holds stays."""
        self._device.write_register(name, value)

    def close(self) -> None:
        """Release the device."""
        self._device.close()
