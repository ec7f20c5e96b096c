"""Registers in a row."""

from typing import Any

from amaranth import *

__all__ = ["delayed"]


def delayed(m: Module, value, cycles: int, name: str, init: Any = None):
    """Return ``value`` as it was ``cycles`` ago, after a reset ``init``."""
    for n in range(cycles):
        later = Signal.like(value, name=f"{name}_{n + 1}", init=init)
        m.d.sync += later.eq(value)
        value = later
    return value
