import numpy as np

from summand.isa import EngineConfig
from summand.isa.scales import pack_scales
from summand.schedule.terms import Direct, Factored, Sizes, Term
from summand.schedule.traffic import layer_traffic

ENGINE = EngineConfig(
    cols=4, depth=32, stream_bits=128, act_depth=16, acc_depth=64, scale_bits=6, shift=4
)


def sizes(*terms: Term) -> Sizes:
    return Sizes(70, 30, terms)


FACTORED = Factored(rank=5, first=4, second=2)
GROUPED = Direct(planes=3, group=32, scale_bits=6)


def test_without_an_engine_nothing_is_filled_up():
    cost = layer_traffic(sizes(GROUPED, FACTORED))
    assert cost.planes == 70 * 30 * 3
    assert cost.scales == 3 * 30 * 6
    assert cost.factors == 70 * 5 * 4 + 5 * 30 * 2
    assert cost.requantisations == 5 * 32
    assert cost.total == cost.weights == cost.integers + cost.requantisations


def test_what_is_not_there_costs_nothing():
    assert layer_traffic(sizes()).total == 0
    assert layer_traffic(sizes(Direct(planes=4))).total == 70 * 30 * 4


def test_an_engine_fills_up_slices_and_tiles():
    cost = layer_traffic(sizes(Direct(planes=3), FACTORED), ENGINE)
    assert cost.planes == 96 * 32 * 3
    assert cost.factors == 96 * 8 * 4 + 32 * 32 * 2
    assert cost.requantisations == 8 * 32


def test_scales_are_counted_as_they_are_packed():
    cost = layer_traffic(sizes(GROUPED), ENGINE)
    assert cost.scales == 3 * 8 * len(pack_scales(np.ones((8, 4), np.uint8), ENGINE))


def test_terms_add_up():
    both = layer_traffic(sizes(GROUPED, FACTORED), ENGINE)
    assert both == layer_traffic(sizes(GROUPED), ENGINE) + layer_traffic(sizes(FACTORED), ENGINE)
