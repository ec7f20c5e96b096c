"""The way of a host to the registers of a memory controller, through those of a board."""

import time
from collections.abc import Callable

from summand.runtime.device import Device

__all__ = ["DeviceControl"]


class DeviceControl:
    """A :class:`~summand.boards.dram.bus.ControlBus` over a device's registers.

    Parameters
    ----------
    device : Device
        A board with a memory controller that its host initialises.
    clock_hz : int
        The controller's clock.
    sleep : callable
        Lets seconds of that clock pass.
    """

    def __init__(self, device: Device, clock_hz: int, sleep: Callable[[float], None] = time.sleep):
        self._device = device
        self._clock_hz = clock_hz
        self._sleep = sleep

    def read(self, offset: int) -> int:
        """Return the word at a byte offset."""
        self._device.write_register("control_address", offset)
        return self._device.read_register("control_data")

    def write(self, offset: int, value: int) -> None:
        """Write the word at a byte offset."""
        self._device.write_register("control_address", offset)
        self._device.write_register("control_data", value)

    def wait(self, cycles: int) -> None:
        """Let at least so many cycles of the controller's clock pass."""
        self._sleep(cycles / self._clock_hz)
