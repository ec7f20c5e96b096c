"""What can go wrong between host and engine."""

from summand.isa import SummandError

__all__ = ["CompileError", "DeviceError", "DeviceTimeout", "WrongEngineError"]


class CompileError(SummandError, ValueError):
    """Layers that this engine cannot compute; the text names layer, value, limit and remedy."""


class DeviceError(SummandError):
    """A device that answers what no engine answers."""


class DeviceTimeout(DeviceError, TimeoutError):
    """A device that does not answer in time. Devices may raise any ``TimeoutError``."""


class WrongEngineError(DeviceError):
    """A device that is no Summand engine, or one of another version or configuration."""
