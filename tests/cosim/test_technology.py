"""Engines with vendors' primitives equal engines without them in every cycle."""

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import MODULE, AxiEngine
from summand.rtl.technology import Technology, simulation_models
from summand.stimulus.programs import random_program
from summand.verilated import SimDevice, build

pytestmark = pytest.mark.sim

# Block RAMs with words of 36, 18, 9, 4, 2 and 1 bits; products in one DSP block and in two, and of
# two columns in one.
CONFIGS = [
    EngineConfig(rows=2, cols=2, depth=16, stream_bits=32, requant_depth=1024, shift=4),
    EngineConfig(
        rows=1, cols=4, depth=32, stream_bits=64, act_bits=4, acc_bits=18, acc_depth=2048,
        act_depth=1024, requant_depth=4096, table_share=2, operand_depth=4096,
    ),
    EngineConfig(
        rows=1, cols=1, depth=32, stream_bits=32, acc_bits=21, acc_depth=8192, act_depth=2048
    ),
    EngineConfig(
        rows=2, cols=4, depth=32, stream_bits=64, acc_depth=64, act_depth=8, scale_bits=4,
        half_steps=True, digit_bits=4,
    ),
]  # fmt: skip


def ecp5_verilog(config: EngineConfig) -> str:
    technology = Technology.ECP5
    text = emit_verilog(AxiEngine(config), name=MODULE, config=config, technology=technology)
    for primitive in ("DP16KD", "MULT18X18D", "CCU2C", "PFUMX"):
        assert primitive in text
    return text + simulation_models(technology)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.rows}x{c.cols}x{c.depth}")
def test_ecp5_does_the_same(config, monkeypatch):
    plain = SimDevice(config)
    with monkeypatch.context() as patched:
        patched.setattr(build, "engine_verilog", ecp5_verilog)
        vendors = SimDevice(config)
    for seed in range(40):
        program = random_program(np.random.default_rng(seed), config, commands=12)
        outputs = []
        for device in (plain, vendors):
            device.write(program.chunks)
            outputs.append(device.read(len(program.output), 60))  # counters included
        assert outputs[0] == outputs[1]
    assert plain.cycles == vendors.cycles
