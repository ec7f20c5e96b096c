"""A layer's streamed bits, a plan's bytes and a program's bytes are the same number."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.model import Layer
from summand.runtime import compile_layers
from summand.schedule.steps import Walk
from summand.schedule.tiling import Bundle
from summand.schedule.traffic import group_traffic, layer_traffic

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


def sent(layers: Sequence[Layer], config: EngineConfig) -> tuple[int, int, int]:
    """Return bits in a program's commands: plane words, scales, parameters."""
    (batch,) = compile_layers(layers, config).schedule(1)
    gemms = sum(len(step.payload) for step in batch.steps if isinstance(step.plan, Walk))
    words = batch.plane_words * config.plane_beats * config.beat_bytes
    parameters = sum(len(s.payload) for s in batch.steps if isinstance(s.plan, Bundle))
    return 8 * words, 8 * (gemms - words), 8 * parameters


@pytest.mark.parametrize(
    ("bits", "rank", "group"), [(4, 0, 0), (3, 5, 0), (0, 9, 0), (4, 0, 32), (2, 20, 64)]
)
def test_a_layers_cost_is_what_is_sent(bits, rank, group):
    layer = make_layer(ROOMY, k=70, n=90, bits=bits, rank=rank, group=group)
    planned, found = group_traffic([layer.sizes], ROOMY), layer_traffic(layer.sizes, ROOMY)
    words, scales, parameters = sent([layer], ROOMY)
    assert planned.planes + planned.factors == words
    assert (planned.planes, planned.factors) == (found.planes, found.factors)
    assert planned.requantisations == parameters == found.requantisations
    assert planned.scales == scales
    # A plan that cuts a walk within a group sends the group's scales on both sides of the cut.
    again = scales - found.scales
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
    planned = group_traffic([layer.sizes for layer in layers], ROOMY)
    found = [layer_traffic(layer.sizes, ROOMY) for layer in layers]
    words, scales, parameters = sent(layers, ROOMY)
    assert planned.planes == sum(c.planes for c in found)
    assert planned.factors == sum(c.factors for c in found)
    assert planned.planes + planned.factors == words
    assert (planned.scales, planned.requantisations) == (scales, parameters)
    assert parameters <= sum(c.requantisations for c in found)
    assert (scales > 0) == any(c.scales for c in found)


def test_wide_beats_are_filled_up():
    """One layer's parameters, and two layers' in the beats of one."""
    wide = replace(ROOMY, depth=64, stream_bits=256)
    one, two = (make_layer(wide, name=f"m.{i}", rank=4) for i in range(2))
    alone = group_traffic([one.sizes], wide)
    both = group_traffic([one.sizes, two.sizes], wide)
    assert alone.requantisations == layer_traffic(one.sizes, wide).requantisations == 256
    assert both.requantisations == alone.requantisations
