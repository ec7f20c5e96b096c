"""Errors between host and engine."""

from summand.isa import SummandError

__all__ = ["DeviceError", "DeviceTimeout", "WrongEngineError"]


class DeviceError(SummandError):
    """A device that answers what no engine answers."""


class DeviceTimeout(DeviceError, TimeoutError):
    """A device that does not answer in time. Devices may raise any ``TimeoutError``."""


class WrongEngineError(DeviceError):
    """A device that is no Summand engine, or one of another version or configuration."""
