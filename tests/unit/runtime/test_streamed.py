from dataclasses import replace

import pytest

from summand.model.streamed import streamed
from summand.runtime import compile_layers
from summand.runtime.program import Gemm, Requantise


@pytest.mark.parametrize(
    ("bits", "rank", "group"), [(4, 0, 0), (3, 5, 0), (0, 9, 0), (4, 0, 32), (2, 20, 64)]
)
def test_the_cost_is_what_is_sent(bits, rank, group, roomy, make_layer):
    config = replace(roomy, scale_bits=6)
    layer = make_layer(config, k=70, n=90, bits=bits, rank=rank, group=group)
    (batch,) = compile_layers([layer], config).schedule(1)
    sent = sum(
        len(step.weights if isinstance(step, Gemm) else step.params)
        for step in batch.steps
        if isinstance(step, Gemm | Requantise)
    )
    low_rank = layer.low_rank
    cost = streamed(
        70,
        90,
        bits=bits,
        group=group,
        scale_bits=layer.dense.scale_bits if layer.dense else 0,
        rank=rank,
        a_bits=low_rank.a_bits if low_rank else 0,
        b_bits=low_rank.b_bits if low_rank else 0,
        config=config,
    )
    # A plan that cuts a walk within a group sends the group's scales on both sides of the cut.
    again = 8 * sent - cost.total
    assert again in (0, cost.scales // 2) if group else again == 0
