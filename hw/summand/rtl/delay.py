"""A chain of registers."""

from amaranth import *

__all__ = ["delayed"]


def delayed(m: Module, value, cycles: int, name: str, *, reset_less: bool = False):
    """Return the value that ``value`` had ``cycles`` cycles ago."""
    for n in range(cycles):
        later = Signal.like(value, name=f"{name}_{n + 1}", reset_less=reset_less)
        m.d.sync += later.eq(value)
        value = later
    return value
