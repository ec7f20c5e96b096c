"""The contract between compiler, golden model, gateware and host. NumPy only."""

from summand.isa.config import EngineConfig
from summand.isa.errors import ConfigError, ErrorCode, StreamError, SummandError

__all__ = ["ConfigError", "EngineConfig", "ErrorCode", "StreamError", "SummandError"]
