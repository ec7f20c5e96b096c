"""The law's constants, and what they must allow; the gateware's own tests measure them."""

import dataclasses

import pytest

from summand.cycles import Timing
from summand.isa import EngineConfig

CONFIGS = [
    EngineConfig(),
    EngineConfig(rows=3, cols=2, depth=16, stream_bits=32),
    EngineConfig(rows=8, cols=16, depth=256, stream_bits=512),
    EngineConfig(scale_bits=6),
]

#: Of the default engine: one row, 16 tables a column, accumulators of 32 bits.
DEFAULT = {
    "decode": 5, "settle": 5, "prime": 3, "checked": 3, "begin": 1,
    "fill": 4, "steps": 15, "read_ahead": 11, "gathers": 15, "words": 16, "unpack": 7,
    "planes": 1, "word": 1, "rest": 0, "bus": 2, "order": 3, "result": 5, "fifo": 3,
    "room": 32, "credit": 2, "hold": 1, "requantise": 11, "word_hold": 1,
    "idle": 1, "landing": 3, "conflict": 1,
}  # fmt: skip


def test_the_default_engine():
    assert dataclasses.asdict(Timing.of(EngineConfig())) == DEFAULT


@pytest.mark.parametrize(
    ("fields", "differing"),
    [
        ({"depth": 256}, {"order": 5}),
        ({"half_steps": True}, {"order": 4}),
        ({"operand_depth": 256}, {"requantise": 12}),
        (
            {"digit_bits": 4},
            {"steps": 1, "read_ahead": 1, "planes": 4, "word": 5, "rest": 1, "order": 5},
        ),
        ({"digit_bits": 2}, {"steps": 3, "read_ahead": 1, "planes": 2, "word": 3, "order": 6}),
        (
            {"digit_bits": 4, "half_steps": True, "depth": 128},
            {"steps": 1, "read_ahead": 1, "planes": 4, "word": 5, "rest": 1, "order": 6},
        ),
        ({"rows": 8}, {"room": 32}),
        ({"rows": 9}, {"room": 64}),
        ({"acc_bits": 18, "act_bits": 4}, {"requantise": 10}),
        ({"scale_bits": 6, "act_bits": 4}, {"order": 6}),  # a sum of 18 bits, one DSP block
        ({"scale_bits": 6, "act_bits": 5}, {"order": 7}),
    ],
    ids=str,
)
def test_what_follows_from_the_configuration(fields, differing):
    timing = Timing.of(EngineConfig(**fields))
    assert dataclasses.asdict(timing) == DEFAULT | differing


def test_room_lets_the_drain_run_at_a_tile_a_cycle():
    """Credits come back before they run out, even for the last row."""
    for config in CONFIGS:
        timing = Timing.of(config)
        assert timing.room >= timing.answer(config.rows - 1) + timing.credit
