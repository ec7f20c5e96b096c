import numpy as np
import pytest

from summand.golden.arithmetic import wrap
from summand.isa import EngineConfig
from summand.isa.structure import scaler_latency
from summand.isa.widths import scaled_bits
from summand.rtl.scaler import Scaler
from summand.stimulus.values import signed_values
from summand.testing.streams import trace

CONFIGS = [
    EngineConfig(scale_bits=6),
    EngineConfig(cols=1, depth=32, stream_bits=32, scale_bits=1),
    EngineConfig(cols=4, depth=8, stream_bits=32, act_bits=4, acc_bits=16, scale_bits=8),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.slice_sum_bits}x{c.scale_bits}")
def test_products_come_in_time_and_wrap(config):
    rng = np.random.default_rng(1)
    sums = signed_values(rng, config.slice_sum_bits, 500)
    top = (1 << config.scale_bits) - 1
    scales = rng.choice([0, 1, top, *rng.integers(0, top + 1, 5)], 500)
    latency = scaler_latency(config)
    pairs = zip(sums.tolist(), scales.tolist(), strict=True)
    inputs = [{"sum": s, "scale": g} for s, g in pairs] + [{}] * latency
    got = [row[0] for row in trace(Scaler(config), inputs, ["product"])][latency:]
    assert got[:500] == wrap(sums * scales, scaled_bits(config)).tolist()


def test_without_scales_nothing_is_delayed():
    config = EngineConfig()
    assert scaler_latency(config) == 0
    assert scaled_bits(config) == config.slice_sum_bits
