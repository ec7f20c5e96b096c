"""Engines at the corners of what can be configured, and random ones."""

import dataclasses
from typing import Any

import numpy as np

from summand.isa import ConfigError, EngineConfig

__all__ = ["CORNERS", "random_config"]

#: Each field is at its least in one of these engines and at its most in another; all build quickly.
#: Rows, columns and depth all at their most would take minutes to build.
CORNERS = {
    "smallest": EngineConfig(
        rows=1,
        cols=4,
        depth=8,
        stream_bits=32,
        act_bits=4,
        acc_bits=16,
        acc_depth=16,
        act_depth=2,
        requant_depth=16,
        table_share=1,
        shift=0,
        scale_bits=0,
        half_steps=False,
        border_shift=0,
        sparse_block=0,
        operand_depth=0,
        digit_bits=0,
        limb_bits=0,
        bin_tiles=0,
    ),
    "deepest": EngineConfig(
        rows=1,
        cols=1,
        depth=256,
        stream_bits=32,
        act_bits=10,
        acc_bits=32,
        acc_depth=16384,
        act_depth=4096,
        requant_depth=4096,
        table_share=16,
        shift=8,
        scale_bits=8,
        half_steps=True,
        border_shift=7,
        sparse_block=16,
        operand_depth=65536,
        limb_bits=8,
        bin_tiles=256,
    ),
    "widest": EngineConfig(
        rows=1,
        cols=2,
        depth=256,
        stream_bits=512,
        act_bits=8,
        acc_bits=24,
        acc_depth=256,
        act_depth=2,
        requant_depth=64,
        table_share=2,
        shift=8,
        scale_bits=8,
        half_steps=False,
        border_shift=1,
        sparse_block=4,
        operand_depth=256,
        limb_bits=4,
        bin_tiles=1,
    ),
    "most-columns": EngineConfig(
        rows=1,
        cols=64,
        depth=8,
        stream_bits=64,
        act_bits=4,
        acc_bits=16,
        acc_depth=64,
        act_depth=8,
        requant_depth=64,
        table_share=1,
        shift=0,
        scale_bits=1,
        half_steps=True,
        border_shift=0,
        sparse_block=8,
        operand_depth=512,
    ),
    "most-rows": EngineConfig(
        rows=64,
        cols=1,
        depth=32,
        stream_bits=32,
        act_bits=4,
        acc_bits=32,
        acc_depth=16,
        act_depth=4,
        requant_depth=16,
        table_share=4,
        shift=1,
        scale_bits=1,
        half_steps=True,
        border_shift=3,
        sparse_block=0,
        operand_depth=256,
    ),
    "widest-digits": EngineConfig(
        rows=2,
        cols=2,
        depth=256,
        stream_bits=256,
        act_bits=9,
        acc_bits=32,
        acc_depth=32,
        act_depth=2,
        requant_depth=16,
        scale_bits=8,
        half_steps=True,
        border_shift=2,
        digit_bits=4,
    ),
}


def random_config(rng: np.random.Generator) -> EngineConfig:
    """Return a small engine: at most 4 rows, 8 columns, depth 64 and a 256-bit stream."""
    while True:
        fields: dict[str, Any] = {
            "rows": rng.integers(1, 5),
            "cols": rng.choice([1, 2, 4, 8]),
            "depth": rng.choice([8, 16, 32, 64]),
            "stream_bits": rng.choice([32, 64, 128, 256]),
            "act_bits": rng.integers(4, 11),
            "acc_bits": rng.choice([16, 20, 24, 31, 32]),
            "acc_depth": rng.choice([16, 32, 64, 256]),
            "act_depth": rng.choice([2, 4, 8, 16]),
            "requant_depth": rng.choice([16, 32, 64]),
            "table_share": rng.choice([1, 1, 2, 4]),
            "shift": rng.choice([0, 0, 1, 4, 8]),
            "scale_bits": rng.choice([0, 0, 1, 4, 6, 8]),
        }
        sizes: dict[str, Any] = {name: int(value) for name, value in fields.items()}
        try:
            plain = EngineConfig(**sizes)
        except ConfigError:
            continue  # some combinations do not exist; about one in four does
        blocks = [b for b in (4, 8, 16) if plain.plane_beats <= b <= plain.depth]
        limbs = [b for b in (4, 8) if plain.cols * b <= plain.stream_bits]
        bins = [b for b in (1, 2, 4, 16) if b * plain.cols > 1 and b <= plain.acc_depth]
        digits = [d for d in (2, 4) if plain.table_share == 1 and plain.act_bits + 2 * d < 18]
        return dataclasses.replace(
            plain,
            half_steps=bool(rng.integers(2)),
            border_shift=int(rng.choice([0, 1, 1, 2, 3, 7])),
            sparse_block=int(rng.choice([0, *blocks])),
            operand_depth=int(rng.choice([0, 256, 256, 1024])),
            digit_bits=int(rng.choice([0, *digits])),
            limb_bits=int(rng.choice([0, *limbs])),
            bin_tiles=int(rng.choice([0, *bins])),
        )
