import numpy as np
import pytest

from summand.isa import ConfigError, EngineConfig
from summand.stimulus.layers import random_layer

SMALL = EngineConfig(
    rows=3, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16, shift=3
)


def test_requantised_values_use_their_range():
    layer = random_layer(np.random.default_rng(4), SMALL, m=8, k=300, n=4, bits=4, rank=16)
    inner = layer.x.astype(np.int64) @ layer.a.astype(np.int64)
    t = (inner * layer.mult + (1 << (layer.shift - 1))) >> layer.shift
    assert (np.abs(t).max(axis=0) > 48).all()
    assert np.abs(t).max() <= 128


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"m": 0}, "m must be at least 1, not 0"),
        ({"n": -1}, "n must be at least 1, not -1"),
        ({"bits": 9}, "bits must be 1 to 8, not 9"),
        ({"rank": -1}, "rank must be at least 0, not -1"),
        ({"rank_bits": 0}, "rank_bits must be 1 to 8, not 0"),
    ],
)
def test_impossible_layers_are_refused(wrong, message):
    fields = {"m": 1, "k": 1, "n": 1, "bits": 4} | wrong
    with pytest.raises(ConfigError, match=message):
        random_layer(np.random.default_rng(0), SMALL, **fields)
