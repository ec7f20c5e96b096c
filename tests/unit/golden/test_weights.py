import numpy as np
import pytest

from summand.golden.weights import WeightCache, decode_walk
from summand.isa import EngineConfig
from summand.isa.planes import pack_planes
from summand.isa.segments import Segment

CONFIG = EngineConfig(cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4)

#: Bytes of a walk of :func:`make` in the cache: its plane words, and its weights as float32.
SIZE = 3 * (3 * 2 + 8) * CONFIG.plane_bits // 8 + 48 * 8 * 4


def make(rng: np.random.Generator) -> tuple[bytes, tuple[Segment, ...], np.ndarray]:
    """Return a walk of two widths over three slices, and its weights side by side."""
    low, high = rng.integers(-2, 2, (48, 6)), rng.integers(-128, 128, (48, 2))
    parts = [pack_planes(low, 2, CONFIG), pack_planes(high, 8, CONFIG)]
    words = np.concatenate([p.reshape(3, -1) for p in parts], axis=1).tobytes()
    segments = (Segment(tile=4, tiles=3, planes=2), Segment(tile=0, tiles=1, planes=8))
    return words, segments, np.hstack([low, high])


def test_segments_of_several_widths_are_decoded_side_by_side():
    words, segments, weights = make(np.random.default_rng(0))
    got = decode_walk(words, 3, segments, 0, CONFIG)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, weights)


@pytest.mark.parametrize("planes", [1, 3, 8])
def test_half_step_weights_are_odd_and_even_about_zero(planes):
    every = np.arange(-(1 << planes - 1), 1 << planes - 1)
    q = np.resize(every, (256, 2))
    words = pack_planes(q, planes, CONFIG)
    kept = words.reshape(16, 1, planes, -1)
    segments = tuple(
        Segment(tile=n, tiles=1, planes=planes, half_step=half)
        for n, half in enumerate((True, False))
    )
    got = decode_walk(np.concatenate([kept, kept], 1).tobytes(), 16, segments, 0, CONFIG)
    np.testing.assert_array_equal(got, np.hstack([2 * q + 1, q]))
    np.testing.assert_array_equal(np.unique(got[:, :2]), -np.unique(got[:, :2])[::-1])


def test_half_step_and_other_weights_of_the_same_words_are_kept_apart():
    words = bytes(range(32))
    cache = WeightCache(CONFIG, 1 << 20)
    plain = cache.get(words, 1, (Segment(tile=0, tiles=4, planes=2),))
    half = cache.get(words, 1, (Segment(tile=0, tiles=4, planes=2, half_step=True),))
    np.testing.assert_array_equal(half, 2 * plain + 1)


def test_the_same_words_are_decoded_once():
    words, segments, _ = make(np.random.default_rng(1))
    cache = WeightCache(CONFIG, 1 << 20)
    first = cache.get(words, 3, segments)
    assert cache.get(words, 3, segments) is first
    assert cache.get(bytes(bytearray(words)), 3, segments) is first
    moved = tuple(Segment(tile=s.tile + 1, tiles=s.tiles, planes=s.planes) for s in segments)
    assert cache.get(words, 3, moved) is first


def test_the_same_words_cut_another_way_are_other_weights():
    words = bytes(range(64))
    cache = WeightCache(CONFIG, 1 << 20)
    wide = cache.get(words, 1, (Segment(tile=0, tiles=4, planes=4),))
    assert wide.shape == (16, 8)
    assert cache.get(words, 2, (Segment(tile=0, tiles=2, planes=4),)).shape == (32, 4)
    assert cache.get(words, 1, (Segment(tile=0, tiles=8, planes=2),)).shape == (16, 16)


def test_the_least_recently_used_go_first():
    made = [make(np.random.default_rng(seed)) for seed in range(3)]
    cache = WeightCache(CONFIG, 2 * SIZE)
    a, b = (cache.get(words, 3, segments) for words, segments, _ in made[:2])
    assert cache.get(made[0][0], 3, made[0][1]) is a
    cache.get(made[2][0], 3, made[2][1])
    assert cache.get(made[0][0], 3, made[0][1]) is a
    assert cache.get(made[1][0], 3, made[1][1]) is not b


@pytest.mark.parametrize(("limit", "held"), [(0, 0), (SIZE - 1, 0), (SIZE, 1), (2 * SIZE - 1, 1)])
def test_the_limit_holds(limit, held):
    made = [make(np.random.default_rng(seed)) for seed in range(2)]
    cache = WeightCache(CONFIG, limit)
    first = [cache.get(words, 3, segments) for words, segments, _ in made]
    for got, (_, _, weights) in zip(first, made, strict=True):
        np.testing.assert_array_equal(got, weights)
    assert (cache.get(made[1][0], 3, made[1][1]) is first[1]) == held
    assert cache.get(made[0][0], 3, made[0][1]) is not first[0]
