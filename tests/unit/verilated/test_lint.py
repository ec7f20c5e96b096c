"""Verilator gives no warning that could mean a mistake in the Verilog."""

import re
import subprocess

import pytest

from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import MODULE, AxiEngine
from summand.rtl.technology import Technology, simulation_models
from summand.stimulus.engines import CORNERS
from summand.verilated import find_verilator

pytestmark = pytest.mark.needs("verilator")

#: Warnings about Yosys's style: whole vectors of which parts are used, operands of the widths they
#: have, selections by one-hot signals, registers with initial values.
STYLE = {
    "CASEOVERLAP",
    "DECLFILENAME",
    "PROCASSINIT",
    "UNOPTFLAT",
    "UNUSEDSIGNAL",
    "WIDTHEXPAND",
    "WIDTHTRUNC",
}
#: Warnings about primitives: modes by parameters that models only name, inputs left open where a
#: mode ignores them.
PRIMITIVES = {"PINMISSING", "UNUSEDPARAM"}

CONFIGS = {
    "default": EngineConfig(),
    "full": EngineConfig(rows=4, table_share=2, shift=4, scale_bits=4),
    "smallest": CORNERS["smallest"],
    "operand": EngineConfig(cols=2, depth=16, stream_bits=32, operand_depth=256),
    "limbs": EngineConfig(cols=2, depth=16, stream_bits=32, limb_bits=4),
}


@pytest.mark.parametrize("technology", Technology)
@pytest.mark.parametrize("name", CONFIGS)
def test_no_warning_but_of_style(name, technology, tmp_path):
    config = CONFIGS[name]
    text = emit_verilog(AxiEngine(config), name=MODULE, config=config, technology=technology)
    (tmp_path / "engine.v").write_text(text + simulation_models(technology))
    tool = find_verilator()
    done = subprocess.run(
        [tool.executable, "--lint-only", "-Wall", "--top-module", MODULE, "engine.v"],
        cwd=tmp_path,
        env=tool.environment(),
        capture_output=True,
        text=True,
    )
    found = set(re.findall(r"^%Warning-(\w+)", done.stderr, re.MULTILINE))
    assert "%Error" not in done.stderr.replace("%Error: Exiting due to", "")
    allowed = STYLE if technology is Technology.GENERIC else STYLE | PRIMITIVES
    assert found - allowed == set(), done.stderr
