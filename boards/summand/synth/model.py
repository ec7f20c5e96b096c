"""The structural terms of an engine, of which the model of resources is a sum.

Memories and multipliers follow from the configuration and are exact. Look-up tables, flip-flops and
the clock's period are sums of terms, whose coefficients are in :mod:`summand.synth.coefficients`.
"""

import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

from summand.families.base import ModelledCells
from summand.isa import EngineConfig
from summand.isa.limits import SEGMENTS
from summand.isa.memory import EngineMemory, MemoryKind
from summand.isa.products import products
from summand.isa.rounding import ceil_div
from summand.isa.structure import JOINED_ROWS, joints, memories, segment_fields, segment_memory
from summand.isa.widths import (
    act_addr_bits,
    border_bits,
    slice_bits,
    tile_bits,
)
from summand.synth.answers import answer_ff_terms, answer_lut_terms, plainly_answering
from summand.synth.elements import element_ff_terms, element_lut_terms

__all__ = ["Structure", "period_terms", "structure"]


class Structure(NamedTuple):
    """What an engine consists of.

    Parameters
    ----------
    lut_rams : int
        Look-up tables, the ring of segments, and what waits to be walked.
    block_rams : float
        Accumulators, activations, parameters, drained tiles, scales.
    dsps : int
        The requantiser's multipliers, scalers, and those of digits.
    luts, ffs : mapping of str to float
        Terms of its look-up tables and flip-flops.
    """

    lut_rams: int
    block_rams: float
    dsps: int
    luts: Mapping[str, float]
    ffs: Mapping[str, float]


def structure(config: EngineConfig, cells: ModelledCells) -> Structure:
    """Return an engine's memories and multipliers, and the terms of its other cells."""
    plain = _plain(plainly_answering(config), cells)
    return plain._replace(
        luts={**plain.luts, **answer_lut_terms(config)},
        ffs={**plain.ffs, **answer_ff_terms(config)},
    )


# A search asks for each engine with several ways of sending results.
@functools.lru_cache(maxsize=4096)
def _plain(config: EngineConfig, cells: ModelledCells) -> Structure:
    lut_rams = _lut_rams(config, cells)
    multipliers = cells.multipliers.multipliers
    return Structure(
        lut_rams=lut_rams,
        block_rams=sum(m.count * cells.memories.cells(m).block_rams for m in memories(config)),
        dsps=math.ceil(
            sum(p.count * multipliers(part) for p in products(config) for part in p.parts)
        ),
        luts=_lut_terms(config, cells, lut_rams),
        ffs=_ff_terms(config),
    )


def _lut_rams(config: EngineConfig, cells: ModelledCells) -> int:
    segments = segment_memory(config)
    return _segment_lut_rams(config, cells) + sum(
        memory.count * cells.memories.cells(memory).lut_rams
        for memory in memories(config)
        if memory != segments
    )


def _lut_terms(config: EngineConfig, cells: ModelledCells, lut_rams: int) -> dict[str, float]:
    rows, columns = config.rows, config.rows * config.cols
    return {
        "lut_rams": lut_rams,
        **element_lut_terms(config),
        "columns": columns * (config.slice_sum_bits + config.acc_bits)
        + ceil_div(rows - 1, JOINED_ROWS) * config.cols * config.acc_bits,  # results joined
        "shifters": columns * config.acc_bits * _shift_levels(config),
        "scales": config.scale_bits > 0,
        "products": _product_bits(config, cells),
        "borders": (64 + columns) * (config.border_shift > 0),  # compared; chains one half longer
        **_sparse_terms(config),
        "rows": rows,
        "tile": config.cols * config.acc_bits,
        "stream": config.stream_bits,
        "addresses": tile_bits(config) + act_addr_bits(config),
        "constant": 1,
    }


def _ff_terms(config: EngineConfig) -> dict[str, float]:
    rows, columns = config.rows, config.rows * config.cols
    return {
        **element_ff_terms(config),
        "columns": columns * (2 * config.slice_sum_bits + 3 * config.acc_bits)
        + _collected(config) * config.cols * config.acc_bits,
        "scales": _scale_bits(config),
        "borders": (4 * slice_bits(config) + (8 + 8 * rows) * border_bits(config) + 32)
        * (config.border_shift > 0),  # kept and met; on their way in each row
        **_sparse_terms(config),
        "rows": rows,
        "tile": config.cols * config.acc_bits,
        "stream": config.stream_bits,
        "gatherer": config.plane_bits,
        "addresses": tile_bits(config) + act_addr_bits(config),
        "constant": 1,
    }


def period_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of an engine's clock period."""
    return {
        "size": math.sqrt(config.rows * config.plane_bits) / 32,
        "sparse": config.sparse_block > 0,  # the reader's own slowest path
        "digits": config.digit_bits > 0,
        "constant": 1,
    }


def _product_bits(config: EngineConfig, cells: ModelledCells) -> int:
    """Return the bits multiplied by bits in products that are made of look-up tables alone."""
    return sum(
        product.count * product.a_bits * product.b_bits
        for product in products(config)
        if not any(cells.multipliers.multipliers(part) for part in product.parts)
    )


def _segment_lut_rams(config: EngineConfig, cells: ModelledCells) -> int:
    """Return the LUT RAMs of the ring of segments: a copy for each reader, of what it reads."""
    unread = {"kept"} | ({"shift"} if not config.shift else set())
    unread |= {"scaled"} if not config.scale_bits else set()
    readers = [frozenset(unread)]  # the walk, and what plans sparse segments' words ahead of it
    if config.sparse_block:
        readers.append(frozenset({"tile", "clear", "shift", "scaled", "half_step"}))
    fields = tuple(segment_fields(config).items())
    one = EngineMemory(name="", kind=MemoryKind.LUT, width=cells.ring_bits, depth=SEGMENTS.high)
    copies = _copies(fields, tuple(readers), cells.ring_bits)
    return copies * cells.memories.cells(one).lut_rams


@functools.cache
def _copies(
    fields: tuple[tuple[str, int], ...], readers: tuple[frozenset[str], ...], bits: int
) -> int:
    """Return how many memories of so many bits hold a copy of what each reader reads.

    Few segments differ, and a search asks for hundreds of thousands of engines.
    """
    places = [name for name, width in fields for _ in range(width)]
    words = [set(places[n : n + bits]) for n in range(0, len(places), bits)]
    return sum(not word <= unread for unread in readers for word in words)


def _sparse_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of what reads sparse segments, of which an engine has one for all rows."""
    bits = config.plane_bits * (config.sparse_block > 0)
    return {
        "sparse_plan": config.sparse_block > 0,
        "sparse_words": bits,  # registered stage by stage
        "sparse_blocks": bits * config.sparse_block,  # what a weight is chosen from
    }


def _shift_levels(config: EngineConfig) -> int:
    """Return the choices before an accumulator's adder, which makes a border's lowest itself."""
    return (config.shift > 0) + max(0, border_bits(config) - 1)


def _collected(config: EngineConfig) -> int:
    """Return the registers in which results come from all rows to the front."""
    groups = joints(config)
    return sum(1 + k * (k - 1) // 2 for k in groups) + 2 * (len(groups) - 1)


def _scale_bits(config: EngineConfig) -> int:
    """Return the bits of scales on their way, of their products, and of where they are kept."""
    if not config.scale_bits:
        return 0
    return 64 + config.rows * config.cols * (config.slice_sum_bits + 2 * config.scale_bits)
