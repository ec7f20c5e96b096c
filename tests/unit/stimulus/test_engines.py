import pytest

from summand.stimulus.engines import CORNERS

#: The fields' ranges, as in docs/stream.md.
RANGES = {
    "rows": (1, 64),
    "cols": (1, 64),
    "depth": (8, 256),
    "stream_bits": (32, 512),
    "act_bits": (4, 10),
    "acc_bits": (16, 32),
    "acc_depth": (16, 16384),
    "act_depth": (2, 4096),
    "requant_depth": (16, 4096),
    "table_share": (1, 16),
    "shift": (0, 8),
    "scale_bits": (0, 8),
    "half_steps": (False, True),
    "border_shift": (0, 7),
    "sparse_block": (0, 16),
    "operand_depth": (0, 65536),
    "digit_bits": (0, 4),
    "limb_bits": (0, 8),
    "bin_tiles": (0, 256),
}


@pytest.mark.parametrize("field", RANGES)
def test_some_corner_has_each_field_at_its_least_and_some_at_its_most(field):
    values = [getattr(config, field) for config in CORNERS.values()]
    assert (min(values), max(values)) == RANGES[field]
