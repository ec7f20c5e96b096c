"""The contract between compiler, golden model, gateware and host. NumPy only."""

from summand.isa.config import EngineConfig
from summand.isa.errors import CommandError, ConfigError, ErrorCode, StreamError, SummandError

__all__ = [
    "CommandError",
    "ConfigError",
    "EngineConfig",
    "ErrorCode",
    "StreamError",
    "SummandError",
]
