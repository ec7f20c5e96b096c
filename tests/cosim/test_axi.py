"""The IP block under cocotb and cocotbext-axi."""

import pytest

from summand.isa import EngineConfig
from summand.rtl.feeds.axi import AxiEngine

pytestmark = [pytest.mark.sim, pytest.mark.needs("cocotbext-axi")]

CONFIGS = {
    "32": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16,
        shift=4,
    ),
    "128": EngineConfig(
        rows=1, cols=4, depth=32, stream_bits=128, acc_depth=32, act_depth=4, requant_depth=16,
    ),
}  # fmt: skip


@pytest.mark.parametrize("stream_bits", CONFIGS)
def test_axi(run, stream_bits):
    run(AxiEngine(CONFIGS[stream_bits]), "summand", "summand.cosim.tb_axi")
