"""A layer's streamed bits, a plan's bytes and a program's bytes are the same number."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.model import Layer
from summand.model.streamed import Streamed, streamed
from summand.runtime import compile_layers
from summand.runtime.program import Gemm, Requantise
from summand.schedule.terms import Sizes
from summand.schedule.traffic import group_traffic

from .conftest import make_layer

#: Everything fits this engine's memories, so no plan sends a factor twice.
ROOMY = EngineConfig(
    rows=2,
    cols=4,
    depth=16,
    stream_bits=64,
    acc_depth=1024,
    act_depth=64,
    shift=3,
    scale_bits=6,
)


def cost(layer: Layer, config: EngineConfig) -> Streamed:
    """Return the bits that a layer streams, from its sizes alone."""
    dense, low_rank = layer.dense, layer.low_rank
    return streamed(
        layer.in_features,
        layer.out_features,
        bits=dense.bits if dense else 0,
        group=dense.group if dense else 0,
        scale_bits=dense.scale_bits if dense else 0,
        rank=low_rank.rank if low_rank else 0,
        a_bits=low_rank.a_bits if low_rank else 0,
        b_bits=low_rank.b_bits if low_rank else 0,
        config=config,
    )


def sent(layers: Sequence[Layer], config: EngineConfig) -> tuple[int, int, int]:
    """Return bytes in a program's commands: plane words, scales, parameters."""
    (batch,) = compile_layers(layers, config).schedule(1)
    gemms = sum(len(step.weights) for step in batch.steps if isinstance(step, Gemm))
    words = batch.plane_words * config.plane_beats * config.beat_bytes
    parameters = sum(len(step.params) for step in batch.steps if isinstance(step, Requantise))
    return words, gemms - words, parameters


@pytest.mark.parametrize(
    ("bits", "rank", "group"), [(4, 0, 0), (3, 5, 0), (0, 9, 0), (4, 0, 32), (2, 20, 64)]
)
def test_a_layers_cost_is_what_is_sent(bits, rank, group):
    layer = make_layer(ROOMY, k=70, n=90, bits=bits, rank=rank, group=group)
    planned, found = group_traffic([Sizes.of(layer)], ROOMY), cost(layer, ROOMY)
    words, scales, parameters = sent([layer], ROOMY)
    assert planned.planes + planned.factors == words
    assert (8 * planned.planes, 8 * planned.factors) == (found.planes, found.factors)
    assert 8 * planned.requantisations == 8 * parameters == found.requantisations
    assert planned.scales == scales
    # A plan that cuts a walk within a group sends the group's scales on both sides of the cut.
    again = 8 * scales - found.scales
    assert again in (0, found.scales // 2) if group else again == 0


shapes = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.integers(1, 6),
        st.sampled_from([0, 0, 3, 20]),
        st.sampled_from([0, 32]),
    ),
    min_size=2,
    max_size=3,
)


@settings(max_examples=25, deadline=None)
@given(shapes)
def test_layers_that_share_an_input_stream_the_sum(shapes):
    """Except for beats that they share: those of scales and of parameters that have room."""
    layers = [
        make_layer(ROOMY, name=f"m.{i}", k=40, n=n, bits=bits, rank=rank, group=group, seed=i)
        for i, (n, bits, rank, group) in enumerate(shapes)
    ]
    planned = group_traffic(tuple(map(Sizes.of, layers)), ROOMY)
    found = [cost(layer, ROOMY) for layer in layers]
    words, scales, parameters = sent(layers, ROOMY)
    assert 8 * planned.planes == sum(c.planes for c in found)
    assert 8 * planned.factors == sum(c.factors for c in found)
    assert planned.planes + planned.factors == words
    assert (planned.scales, planned.requantisations) == (scales, parameters)
    assert 8 * parameters <= sum(c.requantisations for c in found)
    assert (scales > 0) == any(c.scales for c in found)


def test_wide_beats_are_filled_up():
    """One layer's parameters, and two layers' in the beats of one."""
    wide = replace(ROOMY, depth=64, stream_bits=256)
    one, two = (make_layer(wide, name=f"m.{i}", rank=4) for i in range(2))
    alone, both = (group_traffic(tuple(map(Sizes.of, g)), wide) for g in ([one], [one, two]))
    assert 8 * alone.requantisations == cost(one, wide).requantisations == 256
    assert both.requantisations == alone.requantisations
