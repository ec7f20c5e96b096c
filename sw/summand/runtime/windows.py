"""Windows to registers in a device's memory."""

import mmap
import os
from typing import Protocol

import numpy as np

from summand.runtime.errors import DeviceError

__all__ = ["MappedWindow", "Window"]


class Window(Protocol):
    """Registers of 32 bits at byte offsets, such as a ``pynq.MMIO``."""

    def read(self, offset: int) -> int:
        """Return a register's value."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        ...


class MappedWindow:
    """A device file that maps registers: XDMA's ``_user``, or a UIO device.

    Parameters
    ----------
    path : str
        The file.
    size : int
        Bytes of registers, from its beginning on.

    Raises
    ------
    DeviceError
        If there is no such file, or it cannot be mapped.
    """

    def __init__(self, path: str, size: int = mmap.PAGESIZE):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_SYNC)
            try:
                self._map = mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as e:
            raise DeviceError(
                f"the registers at {path} cannot be mapped ({e}); is the driver loaded, does the "
                f"design have them, and may this user read and write the file?"
            ) from None
        # An item is one load or one store of 32 bits.
        self._words = np.frombuffer(self._map, np.uint32)

    def read(self, offset: int) -> int:
        """Return a register's value."""
        return int(self._words[offset // 4])

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        self._words[offset // 4] = value

    def close(self) -> None:
        """End the mapping."""
        del self._words
        self._map.close()
