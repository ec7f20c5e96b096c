"""Digits of weights, and how DSP blocks multiply those of two columns at once.

A weight of ``b`` planes is a sum of digits of ``digit_bits`` planes each, the first one signed; its
sign fills that digit up. A digit of a half-step weight is odd: twice the bits less the middle of
their range, plus 1. So every digit is a signed number of ``digit_bits + 1`` bits, and smaller in
magnitude than ``2 ** digit_bits``.

Two columns' digits ``low`` and ``high`` share a multiplier: ``(high << place) + low`` times an
activation is the sum of two products, of which the lower borrows 1 from the upper one if it is
negative.
"""

from summand.isa.config import EngineConfig
from summand.isa.limits import DSP_BITS
from summand.isa.rounding import ceil_log2

__all__ = [
    "digit_lanes",
    "digit_size",
    "packed_bits",
    "packed_columns",
    "packed_levels",
    "packed_place",
]


def digit_size(config: EngineConfig) -> int:
    """Return the bits of a signed digit."""
    return config.digit_bits + 1


def digit_lanes(config: EngineConfig) -> int:
    """Return the activations that are multiplied in a cycle, in each column."""
    return config.depth // config.digit_bits


def packed_columns(config: EngineConfig) -> int:
    """Return the columns that share a multiplier: two, if there are two."""
    return min(2, config.cols)


def packed_levels(config: EngineConfig) -> int:
    """Return the levels of the adder tree that add packed products: as many as have room."""
    if packed_columns(config) == 1:
        return 0
    spare = DSP_BITS - digit_size(config) - (config.act_bits + config.digit_bits)
    return min(spare, ceil_log2(digit_lanes(config)))


def packed_place(config: EngineConfig) -> int:
    """Return the place of the upper column, which holds the lower one's packed sums."""
    return config.act_bits + config.digit_bits + packed_levels(config)


def packed_bits(config: EngineConfig) -> int:
    """Return the bits of a multiplier's packed digits."""
    above = packed_place(config) if packed_columns(config) == 2 else 0
    return above + digit_size(config)
