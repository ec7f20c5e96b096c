import numpy as np

from summand.isa import EngineConfig
from summand.isa.scales import pack_scales
from summand.model.streamed import streamed

ENGINE = EngineConfig(
    cols=4, depth=32, stream_bits=128, act_depth=16, acc_depth=64, scale_bits=6, shift=4
)


def test_without_an_engine_nothing_is_filled_up():
    cost = streamed(70, 30, bits=3, group=32, scale_bits=6, rank=5, a_bits=4, b_bits=2)
    assert cost.planes == 70 * 30 * 3
    assert cost.scales == 3 * 30 * 6
    assert cost.factors == 70 * 5 * 4 + 5 * 30 * 2
    assert cost.requantisations == 5 * 32
    assert cost.total == cost.planes + cost.scales + cost.factors + cost.requantisations


def test_what_is_not_there_costs_nothing():
    assert streamed(70, 30).total == 0
    assert streamed(70, 30, bits=4, scale_bits=6, a_bits=4, b_bits=4).total == 70 * 30 * 4


def test_an_engine_fills_up_slices_and_tiles():
    cost = streamed(70, 30, bits=3, rank=5, a_bits=4, b_bits=2, config=ENGINE)
    assert cost.planes == 96 * 32 * 3
    assert cost.factors == 96 * 8 * 4 + 32 * 32 * 2
    assert cost.requantisations == 8 * 32


def test_scales_are_counted_as_they_are_packed():
    cost = streamed(70, 30, bits=3, group=32, scale_bits=6, config=ENGINE)
    assert cost.scales == 3 * 8 * len(pack_scales(np.ones((8, 4), np.uint8), ENGINE))
