"""An engine in a SoC of LiteX, driven over the SoC's bus."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from summand.boards.soc.places import EnginePlaces
from summand.isa import EngineConfig
from summand.isa.registers import register
from summand.runtime.pumped import PumpedDevice

__all__ = ["LitexDevice", "SocBus"]

#: Words of a burst at most: what a packet of LiteX's servers has room for.
_BURST = 128


class SocBus(Protocol):
    """Words of 32 bits at byte addresses of a SoC's bus, such as LiteX's ``RemoteClient``."""

    def read(self, addr: int, length: int, /) -> list[int]:
        """Return words that follow each other."""
        ...

    def write(self, addr: int, datas: list[int], /) -> None:
        """Write words that follow each other."""
        ...


class LitexDevice(PumpedDevice):
    """An engine of ``add_summand`` in a SoC; a :class:`~summand.runtime.device.Device`.

    Every packet is a transfer, or several if it is longer than the buffer. Opening resets the
    engine.

    Parameters
    ----------
    config : EngineConfig
        The engine's, as expected; the driver compares its digest with the registers.
    bus : SocBus
        The way to the SoC's bus. It stays open when the device is closed.
    places : EnginePlaces
        Where the engine is on it.
    clock : callable
        The time in seconds.
    """

    def __init__(
        self,
        config: EngineConfig,
        bus: SocBus,
        places: EnginePlaces,
        *,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(clock)
        self._config = config
        self._bus = bus
        self._places = places
        self._room = places.buffer_bytes // config.beat_bytes * config.beat_bytes
        self._open()

    @property
    def config(self) -> EngineConfig:
        """The configuration that this engine is believed to have."""
        return self._config

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._bus.read(self._places.registers + register(name).offset, 1)[0]

    def write_register(self, name: str, value: int) -> None:
        """Write a register. ``reset`` empties both directions too."""
        if name == "reset" and value & 1:
            self._open()
        else:
            self._bus.write(self._places.registers + register(name).offset, [value])

    def close(self) -> None:
        """Stop the DMA."""
        for half in ("reader", "writer"):
            self._set(f"{half}_enable", 0)

    def _open(self) -> None:
        """Reset DMA and engine, and forget all that was under way."""
        self.close()
        self._bus.write(self._places.registers + register("reset").offset, [1])
        self._forget()
        self._sending = False
        self._start("writer", self._places.received, self._room)

    def _pump(self) -> bool:
        """Do what can be done now; returns whether that was anything."""
        moved = False
        if self._get("writer_done"):
            size = self._get("writer_offset") * self._config.beat_bytes
            self._received += self._load(self._places.received, size)
            self._start("writer", self._places.received, self._room)
            moved = True
        if self._sending and self._get("taken"):
            self._sending = False
            moved = True
        if self._queue and not self._sending:
            piece = b"".join(self._queue.take(self._room))
            self._store(self._places.sent, piece)
            self._start("reader", self._places.sent, len(piece))
            self._sending = moved = True
        return moved

    def _start(self, half: str, address: int, nbytes: int) -> None:
        """Start a transfer after the last one of this half."""
        self._set(f"{half}_enable", 0)
        self._bus.write(self._places.dma[f"{half}_base"], [address >> 32, address & 0xFFFFFFFF])
        self._set(f"{half}_length", nbytes)
        self._set(f"{half}_enable", 1)

    def _get(self, name: str) -> int:
        return self._bus.read(self._places.dma[name], 1)[0]

    def _set(self, name: str, value: int) -> None:
        self._bus.write(self._places.dma[name], [value])

    def _store(self, address: int, data: bytes) -> None:
        words = np.frombuffer(data, "<u4").tolist()
        for at in range(0, len(words), _BURST):
            self._bus.write(address + 4 * at, words[at : at + _BURST])

    def _load(self, address: int, nbytes: int) -> bytes:
        words: list[int] = []
        while missing := nbytes // 4 - len(words):
            words += self._bus.read(address + 4 * len(words), min(missing, _BURST))
        return np.array(words, "<u4").tobytes()
