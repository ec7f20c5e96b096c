"""Widths of numbers in an engine, in bits."""

from summand.isa.config import EngineConfig
from summand.isa.limits import PLANES
from summand.isa.rounding import ceil_log2

__all__ = [
    "act_addr_bits",
    "border_bits",
    "lane_bits",
    "plane_sum_bits",
    "requantised_bits",
    "row_bits",
    "scaled_bits",
    "slice_bits",
    "tile_bits",
    "word_addr_bits",
]


def row_bits(config: EngineConfig) -> int:
    """Return the width of a row number."""
    return max(1, ceil_log2(config.rows))


def slice_bits(config: EngineConfig) -> int:
    """Return the width of the number of a walk's slice, counted from 0."""
    return ceil_log2(config.act_depth)


def tile_bits(config: EngineConfig) -> int:
    """Return the width of an accumulator address."""
    return ceil_log2(config.acc_depth)


def act_addr_bits(config: EngineConfig) -> int:
    """Return the width of an address of the activation memory, in words of a beat."""
    return ceil_log2(config.act_depth * config.slice_words)


def border_bits(config: EngineConfig) -> int:
    """Return the width of a border's shift; 0 without borders."""
    return config.border_shift.bit_length()


def lane_bits(config: EngineConfig) -> int:
    """Return the width of the number of an input feature within its slice."""
    return ceil_log2(config.depth)


def word_addr_bits(config: EngineConfig) -> int:
    """Return the width of an address of the operand memory; only where there is one."""
    return ceil_log2(config.operand_depth)


def requantised_bits(config: EngineConfig) -> int:
    """Return the width of the widest requantised value: an activation, or a CAST's weight."""
    return max(config.act_bits, PLANES.high) if config.operand_depth else config.act_bits


def plane_sum_bits(config: EngineConfig) -> int:
    """Return the width of a sum over any of a slice's activations, or over all of them."""
    return config.act_bits + ceil_log2(config.depth)


def scaled_bits(config: EngineConfig) -> int:
    """Return the width of a slice sum, scaled if there are scales, at the accumulator.

    An accumulator wraps, so the sum is cut off at the accumulator's width.
    """
    return min(config.slice_sum_bits + config.scale_bits, config.acc_bits)
