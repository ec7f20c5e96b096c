"""Results that are sent as narrow as their bounds prove them to be."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from summand.bench.law import Law
from summand.isa import EngineConfig
from summand.isa.results import limbs_for
from summand.model import Layer
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.schedule.choice import alone
from summand.schedule.terms import Direct, Sizes
from summand.summands.dense import Dense


def worst_tokens(layer: Layer) -> np.ndarray:
    """Return tokens that make each output as large as it can be, and as small."""
    (dense,) = layer.summands
    assert isinstance(dense, Dense)
    negative, most = dense.integers().T < 0, 1 << (layer.act_bits - 1)
    return np.concatenate(
        [np.where(negative, -most, most - 1), np.where(negative, most - 1, -most)]
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    bits=st.integers(1, 8),
    group=st.sampled_from([0, 16]),
    half_step=st.booleans(),
    k=st.integers(1, 70),
    limb_bits=st.sampled_from([4, 8]),
    seed=st.integers(0, 99),
)
def test_no_tokens_make_more_than_is_sent(
    make_layer, config, bits, group, half_step, k, limb_bits, seed
):
    config = dataclasses.replace(config, scale_bits=4, half_steps=True, limb_bits=limb_bits)
    layer = make_layer(config, k=k, n=9, bits=bits, group=group, half_step=half_step, seed=seed)
    program = compile_layers([layer], config)
    tokens = worst_tokens(layer)
    with Driver(GoldenDevice(config)) as driver:
        (acc,) = driver.run(program, tokens).outputs
    np.testing.assert_array_equal(acc, layer.accumulate(tokens))
    sent = {fetch.limbs for batch in program.schedule(1) for _, fetch in batch.fetches}
    assert sent == {limbs_for(layer.acc_bits, config)}
    # A bit too much at most: the least activation is one farther from 0 than the largest.
    assert int(np.abs(acc.astype(np.int64)).max()).bit_length() + 2 >= layer.acc_bits


def test_each_layers_results_are_as_wide_as_its_group_needs(make_layer, roomy):
    config = dataclasses.replace(roomy, limb_bits=4)
    narrow, wide = (make_layer(config, k=24, n=20, bits=bits) for bits in (1, 8))
    assert limbs_for(narrow.acc_bits, config) < limbs_for(wide.acc_bits, config)
    for layers in ([narrow], [wide], [narrow, wide]):
        program = compile_layers(layers, config)
        needed = max(limbs_for(layer.acc_bits, config) for layer in layers)
        for tokens in (1, 2, 7):
            for batch in program.schedule(tokens):
                assert {fetch.limbs for _, fetch in batch.fetches} == {needed}


@pytest.mark.parametrize("limb_bits", [0, 4, 8])
def test_the_bytes_that_come_back_are_those_that_the_law_says(make_layer, config, limb_bits):
    config = dataclasses.replace(config, limb_bits=limb_bits)
    layer = make_layer(config, k=40, n=90, rank=8)
    program = compile_layers([layer], config)
    for tokens in (0, 1, 5):
        xq = np.zeros((tokens, 40), np.int64)
        with Driver(GoldenDevice(config)) as driver:
            driver.reset()
            got = driver.run(program, xq).usage
        assert got.answer_bytes == Law(config).usage(program, tokens).answer_bytes
    assert Law(config).usage(program, 0).answer_bytes == 0


def test_widths_that_need_the_same_limbs_share_plans():
    engine = EngineConfig(limb_bits=4)
    layers = [Sizes(576, 576, (Direct(planes=4),), acc_bits=bits) for bits in (17, 20, 21)]
    one, same, more = (alone((layer,), engine, 1) for layer in layers)
    assert one is same
    assert one is not more
    whole = [alone((layer,), EngineConfig(), 1) for layer in layers]
    assert whole[0] is whole[1] is whole[2]


def test_sizes_of_any_weights_hold_the_worst_of_them():
    for planes, act_bits, k in [(1, 4, 1), (4, 8, 576), (8, 10, 4096)]:
        sizes = Sizes.of_any(k, 3, planes=planes, act_bits=act_bits)
        worst = Dense(np.full((k, 3), -(1 << (planes - 1)), np.int8), planes).bounds(act_bits)
        assert sizes.acc_bits == int(worst.outputs.max()).bit_length() + 1
