"""A device that records its working time and its input."""

import time
from collections.abc import Sequence

from summand.isa import EngineConfig
from summand.runtime import Device

__all__ = ["TimedDevice"]


class TimedDevice:
    """A wrapper that passes everything on to another device and measures it.

    Parameters
    ----------
    device : Device
        Does the work.
    record : bool
        Keep :attr:`sent`, which keeps everything written in memory.
    """

    def __init__(self, device: Device, *, record: bool = False):
        self._device = device
        self._record = record
        #: Seconds spent in the device.
        self.seconds = 0.0
        #: What was written, in order.
        self.sent: list[bytes | memoryview] = []

    @property
    def config(self) -> EngineConfig:
        """The device's configuration."""
        return self._device.config

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue bytes."""
        if self._record:
            self.sent += chunks
        start = time.perf_counter()
        self._device.write(chunks)
        self.seconds += time.perf_counter() - start

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return ``nbytes`` of output."""
        start = time.perf_counter()
        try:
            return self._device.read(nbytes, timeout_s)
        finally:
            self.seconds += time.perf_counter() - start

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._device.read_register(name)

    def write_register(self, name: str, value: int) -> None:
        """Write a register."""
        self._device.write_register(name, value)

    def close(self) -> None:
        """Close the device."""
        self._device.close()
