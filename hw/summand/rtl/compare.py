"""Comparison with a constant."""

from amaranth import *

__all__ = ["exceeds"]


def exceeds(value: Value, limit: int) -> Value:
    """Return ``value > limit`` of an unsigned value, made of its bits.

    Yosys makes a carry chain of the operator ``>``, which takes more cells and more time.
    """
    above: Value = Const(0, 1)
    for n, bit in enumerate(value):
        above = above & bit if limit >> n & 1 else above | bit
    return above if limit < 1 << len(value) else Const(0, 1)
