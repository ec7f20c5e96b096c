"""The engine's own streams under cocotb."""

import pytest

from summand.isa import EngineConfig
from summand.rtl.engine import Engine

pytestmark = pytest.mark.sim

CONFIGS = {
    # Padding in every packet and header; plane words of one beat.
    "narrow": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16,
        shift=4, operand_depth=256,
    ),
    # Two bytes an activation, accumulators that wrap, tables written in turn, half-steps, borders,
    # sparse segments, an operand, no shift flag.
    "wide-activations": EngineConfig(
        rows=3, cols=4, depth=32, stream_bits=64, act_bits=10, acc_bits=24, acc_depth=16,
        act_depth=2, requant_depth=32, table_share=2, half_steps=True, border_shift=1,
        sparse_block=8, operand_depth=256,
    ),
    # A header in less than a beat.
    "wide-stream": EngineConfig(
        rows=1, cols=8, depth=64, stream_bits=256, act_bits=6, acc_bits=20, acc_depth=32,
        act_depth=8, requant_depth=64, table_share=2, shift=1, border_shift=3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_engine(run, name):
    run(Engine(CONFIGS[name]), "engine", "summand.cosim.tb_engine")
