import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.packets import data_packet_bytes
from summand.isa.results import (
    Extremes,
    limbs_for,
    pack_extremes,
    pack_results,
    result_bytes,
    unpack_extremes,
    unpack_results,
)

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


@FIXED
@given(st.sampled_from([(1, 4), (2, 1), (2, 8), (8, 2)]), st.sampled_from([32, 64, 256]), st.data())
def test_extremes_are_the_first_two_in_their_order(sizes, stream_bits, data):
    cols, bin_tiles = sizes
    config = EngineConfig(cols=cols, depth=256, stream_bits=stream_bits, bin_tiles=bin_tiles)
    rows, bins = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    count = rows * bins * config.bin_size
    values = st.integers(-3, 3) | st.integers(-(2**31), 2**31 - 1)
    acc = np.array(data.draw(st.lists(values, min_size=count, max_size=count)), np.int32)
    acc = acc.reshape(rows, -1)
    for extremes, sign in ((Extremes.GREATEST, -1), (Extremes.LEAST, 1)):
        raw = pack_extremes(acc, extremes, config)
        sizes = {"rows": rows, "tiles": bins * bin_tiles}
        head = config.header_beats * config.beat_bytes
        assert len(raw) == data_packet_bytes(config, **sizes, extremes=extremes) - head
        found = unpack_extremes(raw, **sizes, config=config)
        for r, row in enumerate(acc.tolist()):
            for b in range(bins):
                here = row[b * config.bin_size :][: config.bin_size]
                first = sorted(range(len(here)), key=lambda n, here=here: (sign * here[n], n))[:2]
                assert found.places[r, b].tolist() == first
                assert found.acc[r, b].tolist() == [here[n] for n in first]


def test_a_bins_beats_are_two_entries_the_further_one_first():
    config = engine(cols=2, bin_tiles=2)
    acc = np.array([[5, -7, 300, 5, -1, -1, -2, -1]], np.int32)
    greatest = "2c010000 0200 0000 05000000 0000 0000 ffffffff 0000 0000 ffffffff 0100 0000"
    least = "f9ffffff 0100 0000 05000000 0000 0000 feffffff 0200 0000 ffffffff 0000 0000"
    assert pack_extremes(acc, Extremes.GREATEST, config) == bytes.fromhex(greatest)
    assert pack_extremes(acc, Extremes.LEAST, config) == bytes.fromhex(least)


def test_a_place_beyond_its_bin_is_refused():
    config = engine(cols=2, bin_tiles=2)
    raw = bytes.fromhex("2c010000 0400 0000 05000000 0000 0000")
    with pytest.raises(ValueError, match="place 4 of a bin of 4 accumulators"):
        unpack_extremes(raw, rows=1, tiles=2, config=config)
