"""Widths of numbers in an engine, in bits."""

from summand.isa.config import EngineConfig
from summand.isa.rounding import ceil_log2

__all__ = ["act_addr_bits", "plane_sum_bits", "row_bits", "scaled_bits", "tile_bits"]


def row_bits(config: EngineConfig) -> int:
    """Return the width of a row number."""
    return max(1, ceil_log2(config.rows))


def tile_bits(config: EngineConfig) -> int:
    """Return the width of an accumulator address."""
    return ceil_log2(config.acc_depth)


def act_addr_bits(config: EngineConfig) -> int:
    """Return the width of an address of the activation memory, in words of a beat."""
    return ceil_log2(config.act_depth * config.slice_words)


def plane_sum_bits(config: EngineConfig) -> int:
    """Return the width of a sum over any of a slice's activations, or over all of them."""
    return config.act_bits + ceil_log2(config.depth)


def scaled_bits(config: EngineConfig) -> int:
    """Return the width of a slice sum, scaled if there are scales, at the accumulator.

    An accumulator wraps, so the sum is cut off at the accumulator's width.
    """
    return min(config.slice_sum_bits + config.scale_bits, config.acc_bits)
