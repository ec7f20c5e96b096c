"""Bytes in whole beats of a stream."""

from summand.isa.config import EngineConfig

__all__ = ["beats", "pad"]


def beats(nbytes: int, config: EngineConfig) -> int:
    """Return how many beats hold ``nbytes`` bytes."""
    return -(-nbytes // config.beat_bytes)


def pad(raw: bytes, config: EngineConfig) -> bytes:
    """Return ``raw`` with zero bytes up to a whole number of beats."""
    return raw + bytes(-len(raw) % config.beat_bytes)
