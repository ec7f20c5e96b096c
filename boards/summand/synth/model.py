"""The structural terms of an engine, of which the model of resources is a sum.

Memories and multipliers follow from the configuration and are exact. Look-up tables, flip-flops and
the clock's period are sums of terms, whose coefficients are in :mod:`summand.synth.coefficients`.
"""

import math

from summand.cycles.timing import Timing
from summand.families.base import ModelledCells
from summand.isa import EngineConfig

__all__ = ["block_rams", "dsps", "ff_terms", "lut_rams", "lut_terms", "period_terms"]

#: Bits of the operand of one multiplier, where the gateware splits wider ones.
_DSP_BITS = 18


def lut_rams(config: EngineConfig, cells: ModelledCells) -> int:
    """Return the LUT RAMs: look-up tables, and the ring of segments."""
    tables = (
        config.rows * config.cols * config.tables * _ceil(config.act_bits + 2, cells.lut_ram_bits)
    )
    segment = 2 * _log2(config.acc_depth) + 9 + (config.scale_bits > 0)
    return tables + _ceil(segment, cells.lut_ram_bits)


def block_rams(config: EngineConfig, cells: ModelledCells) -> int:
    """Return the block RAMs: accumulators, activations, parameters, drained tiles, scales."""
    return sum(copies * _blocks(bits, words, cells) for bits, words, copies in _memories(config))


def dsps(config: EngineConfig) -> int:
    """Return the multipliers: the requantiser's, and scalers."""
    scalers = config.rows * config.cols * (config.scale_bits > 0)
    return _ceil(config.acc_bits, _DSP_BITS) + scalers * _ceil(config.slice_sum_bits, _DSP_BITS)


def lut_terms(config: EngineConfig, cells: ModelledCells) -> dict[str, float]:
    """Return the terms of an engine's look-up tables."""
    rows, columns = config.rows, config.rows * config.cols
    return {
        "lut_rams": lut_rams(config, cells),
        "trees": columns * (_tree_bits(config) + config.tables - 1),
        "columns": columns * (config.slice_sum_bits + config.acc_bits)
        + _ceil(rows - 1, 3) * config.cols * config.acc_bits,  # results joined
        "shifters": columns * config.acc_bits * (config.shift > 0),
        "writers": rows * config.tables // config.table_share * (config.act_bits + 2),
        "scales": config.scale_bits > 0,  # their products are in DSP blocks
        "rows": rows,
        "tile": config.cols * config.acc_bits,
        "stream": config.stream_bits,
        "addresses": _log2(config.acc_depth) + _act_addr_bits(config),
        "constant": 1,
    }


def ff_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of an engine's flip-flops."""
    rows, columns = config.rows, config.rows * config.cols
    tables = config.tables * (config.act_bits + 2) + _tree_bits(config)
    return {
        "words": rows * config.plane_bits,
        "tables": columns * tables,
        "columns": columns * (2 * config.slice_sum_bits + 3 * config.acc_bits)
        + _collected(rows) * config.cols * config.acc_bits,
        "writers": rows * (config.tables // config.table_share * (2 * config.act_bits + 2))
        + rows * config.depth // config.table_share * config.act_bits,
        "scales": _scale_bits(config),
        "rows": rows,
        "tile": config.cols * config.acc_bits,
        "stream": config.stream_bits,
        "gatherer": config.plane_bits,
        "addresses": _log2(config.acc_depth) + _act_addr_bits(config),
        "constant": 1,
    }


def period_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of an engine's clock period."""
    return {
        "size": math.sqrt(config.rows * config.plane_bits) / 32,
        "constant": 1,
    }


def _memories(config: EngineConfig) -> list[tuple[int, int, int]]:
    """Return bits of a word, words, and how many there are, of each block memory."""
    memories = [
        (config.cols * config.acc_bits, config.acc_depth, config.rows),
        (
            config.beat_elems * config.act_bits,
            config.act_depth * config.slice_words,
            config.rows,
        ),
        (22, config.requant_depth, 1),
        (config.cols * config.acc_bits + 2, Timing.of(config).room, 1),
    ]
    if config.scale_bits:
        bits = config.scale_tiles * config.cols * config.scale_bits
        memories.append((bits, _ceil(config.acc_depth, config.scale_tiles), 1))
    return memories


def _blocks(bits: int, words: int, cells: ModelledCells) -> int:
    for width, depth in cells.block_ram_shapes:
        if words <= depth:
            return _ceil(bits, width)
    return bits * _ceil(words, cells.block_ram_shapes[-1][1])


def _tree_bits(config: EngineConfig) -> int:
    """Return the bits of a column's adder tree."""
    bits, count, width = 0, config.tables // 2, config.act_bits + 3
    while count:
        bits += count * width
        count, width = count // 2, width + 1
    return bits


def _collected(rows: int) -> int:
    """Return the registers in which results come from all rows to the front."""
    groups = [min(3, rows - first) for first in range(0, rows, 3)]
    return sum(1 + k * (k - 1) // 2 for k in groups) + 2 * (len(groups) - 1)


def _scale_bits(config: EngineConfig) -> int:
    """Return the bits of scales on their way, of their products, and of where they are kept."""
    if not config.scale_bits:
        return 0
    return 64 + config.rows * config.cols * (config.slice_sum_bits + 2 * config.scale_bits)


def _act_addr_bits(config: EngineConfig) -> int:
    return _log2(config.act_depth * config.slice_words)


def _log2(value: int) -> int:
    """Return the logarithm, rounded up."""
    return (value - 1).bit_length()


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
