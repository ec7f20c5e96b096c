import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.planes import pack_planes, padded_shape, unpack_planes

CONFIGS = [
    EngineConfig(cols=1, depth=32, stream_bits=32),
    EngineConfig(cols=4, depth=8, stream_bits=32, acc_depth=16),
    EngineConfig(cols=8, depth=64, stream_bits=512),
]


@settings(deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(0, 150),
    n=st.integers(0, 20),
    planes=st.integers(1, 8),
    config=st.sampled_from(CONFIGS),
)
def test_unpacking_undoes_packing(seed, k, n, planes, config):
    top = 1 << (planes - 1)
    weights = np.random.default_rng(seed).integers(-top, top, (k, n))
    words = pack_planes(weights, planes, config)
    slices, tiles = padded_shape(k, n, config)
    assert words.shape == (slices, tiles, planes, config.plane_bits // 8)
    back = unpack_planes(words, config)
    assert back.shape == (slices * config.depth, tiles * config.cols)
    np.testing.assert_array_equal(back[:k, :n], weights)
    assert not back[k:].any()
    assert not back[:, n:].any()


@pytest.mark.parametrize("planes", [1, 3, 8])
def test_every_bit_is_where_the_contract_says(planes):
    config = CONFIGS[1]
    top = 1 << (planes - 1)
    weights = np.random.default_rng(planes).integers(-top, top, (20, 10))
    words = pack_planes(weights, planes, config)
    for k in range(20):
        for n in range(10):
            for p in range(planes):  # most significant first
                word = int.from_bytes(
                    words[k // config.depth, n // config.cols, p].tobytes(), "little"
                )
                bit = word >> ((n % config.cols) * config.depth + k % config.depth) & 1
                assert bit == int(weights[k, n]) >> (planes - 1 - p) & 1


def test_dropping_low_planes_halves_the_weights():
    config = CONFIGS[0]
    weights = np.arange(-128, 128).reshape(64, 4)
    words = pack_planes(weights, 8, config)
    np.testing.assert_array_equal(unpack_planes(words[:, :, :5], config), weights >> 3)


@pytest.mark.parametrize(("planes", "weight"), [(1, 1), (4, 8), (4, -9), (8, 128), (8, -129)])
def test_weights_that_do_not_fit_are_refused(planes, weight):
    with pytest.raises(ValueError, match=f"to fit {planes} planes"):
        pack_planes(np.array([[weight]]), planes, CONFIGS[0])


def test_any_integer_type_packs_alike():
    weights = np.array([[0, 1], [5, 7]])
    packed = [
        pack_planes(weights.astype(kind), 4, CONFIGS[0]).tobytes()
        for kind in (np.int8, np.uint8, np.int16, np.int64)
    ]
    assert len(set(packed)) == 1
