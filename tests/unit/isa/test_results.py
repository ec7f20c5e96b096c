import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.results import limbs_for, pack_results, result_bytes, unpack_results

from .examples import FIXED


def engine(**fields) -> EngineConfig:
    return EngineConfig(depth=64, stream_bits=64, **fields)


ENGINES = st.builds(
    engine,
    cols=st.sampled_from([1, 2, 8]),
    acc_bits=st.sampled_from([22, 25, 31, 32]),
    limb_bits=st.sampled_from([0, 4, 8]),
)


@FIXED
@given(ENGINES, st.data())
def test_what_fits_its_limbs_comes_back(config, data):
    rows, tiles = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    limbs = data.draw(st.integers(1, config.acc_limbs)) if config.limb_bits else 0
    half = 1 << min(config.acc_bits, limbs * config.limb_bits or 32) - 1
    ends = st.sampled_from([-half, -1, 0, half - 1]) | st.integers(-half, half - 1)
    shape = rows, tiles * config.cols
    count = shape[0] * shape[1]
    values = data.draw(st.lists(ends, min_size=count, max_size=count))
    acc = np.array(values, np.int32).reshape(shape)
    raw = pack_results(acc, limbs, config)
    assert len(raw) == result_bytes(config, rows=rows, tiles=tiles, limbs=limbs)
    sizes = {"rows": rows, "tiles": tiles, "limbs": limbs}
    got = unpack_results(raw + b"\xff" * 9, **sizes, config=config)
    np.testing.assert_array_equal(got, acc)


def test_limbs_follow_each_other_tile_by_tile_the_lowest_first():
    config = engine(cols=2, limb_bits=4)
    acc = np.array([[0x123, -0x123, 0x7FF, -0x800]], np.int32)  # -0x123 ends with 0xedd
    assert pack_results(acc, 3, config) == bytes.fromhex("d3 d2 e1 0f 0f 87")
    odd = pack_results(np.array([[0x321], [-0x321]], np.int32), 3, engine(cols=1, limb_bits=4))
    assert odd == bytes.fromhex("21 f3 cd")


@pytest.mark.parametrize(
    ("fields", "bits", "limbs"),
    [
        ({}, 19, 0),
        ({"limb_bits": 4}, 19, 5),
        ({"limb_bits": 4}, 20, 5),
        ({"limb_bits": 4}, 21, 6),
        ({"limb_bits": 8}, 32, 4),
        ({"limb_bits": 8, "acc_bits": 22}, 32, 3),
        ({"limb_bits": 4, "acc_bits": 31}, 40, 8),
    ],
)
def test_as_few_limbs_are_sent_as_hold_the_bits(fields, bits, limbs):
    assert limbs_for(bits, engine(**fields)) == limbs
