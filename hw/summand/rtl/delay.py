"""Registers in a row."""

from amaranth import *

__all__ = ["delayed"]


def delayed(m: Module, value, cycles: int, name: str):
    """Return ``value`` as it was ``cycles`` ago."""
    for n in range(cycles):
        later = Signal.like(value, name=f"{name}_{n + 1}")
        m.d.sync += later.eq(value)
        value = later
    return value
