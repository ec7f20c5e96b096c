"""The structural terms of what multiplies in the rows: look-up tables, or DSP blocks.

Every engine has all terms; those of the element that it has not are 0. Memories and multipliers of
either are counted elsewhere, exactly.
"""

from summand.isa import EngineConfig
from summand.isa.digits import (
    digit_lanes,
    digit_size,
    packed_bits,
    packed_columns,
    packed_levels,
    packed_place,
)
from summand.isa.elements import ElementKind, element
from summand.isa.widths import plane_sum_bits

__all__ = ["element_ff_terms", "element_lut_terms"]


def element_lut_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of an element's look-up tables."""
    rows, columns = config.rows, config.rows * config.cols
    tables, digits = _kinds(config)
    pairs = columns // packed_columns(config)
    return {
        "trees": tables * columns * (_tree_bits(config) + config.tables - 1),
        "writers": tables * rows * config.tables // config.table_share * (config.act_bits + 2),
        "half_steps": tables
        * (2 * columns * _half_step_bits(config) + rows * config.depth)
        * config.half_steps,  # chosen and added in each column; planes of ones in each row
        "digit_sums": digits and pairs * _sum_bits(config),
        "digit_choices": digits * rows * config.depth * config.act_bits,
        "digit_planes": digits * (config.digit_bits - 1) * config.plane_bits,
        "digit_words": digits and _word_bits(config) * (1 + config.half_steps),
    }


def element_ff_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of an element's flip-flops."""
    rows, columns = config.rows, config.rows * config.cols
    tables, digits = _kinds(config)
    pairs = columns // packed_columns(config)
    return {
        "words": tables * rows * config.plane_bits,
        "tables": tables * columns * (config.tables * (config.act_bits + 2) + _tree_bits(config)),
        "writers": tables
        * (
            rows * (config.tables // config.table_share * (2 * config.act_bits + 2))
            + rows * config.depth // config.table_share * config.act_bits
        ),
        "half_steps": tables * (columns + 2 * rows) * _half_step_bits(config) * config.half_steps,
        "digit_sums": digits and pairs * _sum_bits(config),
        "digit_rows": digits
        and rows
        * (_word_bits(config) + (2 * config.depth + digit_lanes(config)) * config.act_bits),
        "digit_planes": digits * (2 * config.digit_bits - 1) * config.plane_bits,
    }


def _kinds(config: EngineConfig) -> tuple[int, int]:
    """Return whether an engine has tables, and whether it has DSP blocks."""
    kind = element(config).kind
    return int(kind is ElementKind.TABLES), int(kind is ElementKind.DIGITS)


def _tree_bits(config: EngineConfig) -> int:
    """Return the bits of a column's adder tree behind look-up tables."""
    bits, count, width = 0, config.tables // 2, config.act_bits + 3
    while count:
        bits += count * width
        count, width = count // 2, width + 1
    return bits


def _half_step_bits(config: EngineConfig) -> int:
    """Return the bits of a plane's sum whose digits are -1 and 1."""
    return plane_sum_bits(config) + 1


def _word_bits(config: EngineConfig) -> int:
    """Return the bits of a word of digits; only where there are digits."""
    return config.cols * digit_lanes(config) * digit_size(config)


def _sum_bits(config: EngineConfig) -> int:
    """Return the bits of the sums over two columns' products, packed and then apart.

    What a product takes beside its multiplier is as many bits, or none, by the family.
    """
    count, widths = digit_lanes(config), [packed_bits(config) + config.act_bits]
    packed, bits = packed_levels(config), 0
    if packed_columns(config) == 1:
        packed = 1  # two blocks add
    for level in range(packed):
        count //= 2
        widths = [widths[0] + (level > 0)]
        bits += count * widths[0]
    if packed_columns(config) == 2:
        widths = [packed_place(config), widths[0] - packed_place(config)]
    while count > 1:
        count //= 2
        widths = [width + 1 for width in widths]
        bits += count * sum(widths)
    return bits
