"""From compressed layers to results: compiler, driver, devices. Torch is in ``modules``."""

from summand.runtime.compiler import compile_layers
from summand.runtime.device import (
    DEFAULT_BAUD,
    Device,
    GoldenDevice,
    open_device,
)
from summand.runtime.driver import Driver, Result
from summand.runtime.errors import DeviceError, DeviceTimeout, WrongEngineError
from summand.runtime.program import Program
from summand.runtime.usage import Usage

__all__ = [
    "DEFAULT_BAUD",
    "Device",
    "DeviceError",
    "DeviceTimeout",
    "Driver",
    "GoldenDevice",
    "Program",
    "Result",
    "Usage",
    "WrongEngineError",
    "compile_layers",
    "open_device",
]
