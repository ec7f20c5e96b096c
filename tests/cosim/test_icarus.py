"""The Verilog under Icarus: event-driven, four states, both versions of the language."""

import re
from pathlib import Path

import pytest

from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.engine import Engine
from summand.rtl.feeds.axi import AxiEngine
from summand.rtl.technology import Technology, simulation_models

pytestmark = [pytest.mark.sim, pytest.mark.needs("iverilog", "cocotb")]

# One writer for each table, so that `share` has one value only; and shared writers, with everything
# that is optional.
CONFIGS = {
    "plain": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16
    ),
    "full": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16,
        table_share=2, shift=4, scale_bits=4, half_steps=True, border_shift=3, sparse_block=16,
        operand_depth=256, limb_bits=4, bin_tiles=2,
    ),
}  # fmt: skip

#: Programs, resets and cuts in mid-command, garbage, with stalls in most; and all refused commands,
#: which take as long as the rest.
TESTS = {
    "most": "p_stall=0.[35]|garbage|truncated",
    "all": "p_stall=0.[35]|garbage|truncated|every_error",
}


def _run(folder, source: str, name: str, config: EngineConfig, standard: str, **what) -> None:
    from summand.cosim import Standard, build_icarus, run_cocotb

    bench = build_icarus(source, name=name, config=config, standard=Standard(standard))
    run_cocotb(bench, what.pop("module", "summand.cosim.tb_engine"), folder=folder, **what)


@pytest.mark.parametrize(
    ("name", "technology", "standard", "tests"),
    [
        ("plain", Technology.GENERIC, "2005", "all"),
        ("full", Technology.GENERIC, "2012", "most"),
        ("full", Technology.ECP5, "2005", "most"),
        ("plain", Technology.ECP5, "2012", "most"),
    ],
    ids=lambda value: getattr(value, "value", value),
)
def test_engine_matches_golden_without_an_unknown(tmp_path, name, technology, standard, tests):
    config = CONFIGS[name]
    source = emit_verilog(Engine(config), name="engine", config=config, technology=technology)
    source += simulation_models(technology)
    _run(tmp_path, source, "engine", config, standard, tests=TESTS[tests])


@pytest.mark.parametrize("seed", [1, 2])
def test_engine_does_not_depend_on_what_it_holds_at_power_up(tmp_path, seed):
    from summand.cosim.power_up import randomised

    config = CONFIGS["full"]
    source = emit_verilog(Engine(config), name="engine", config=config)
    source = randomised(source, seed)
    tests = "programs_match_golden/p_stall=0.0"
    _run(tmp_path, source, "engine", config, "2012", tests=tests, seed=seed)


def test_ip_block_is_reset_whole_by_one_cycle(tmp_path, need):
    """At power-up with random registers, and with a beat that waits to be taken."""
    from summand.cosim.power_up import randomised

    need("cocotbext-axi")
    config = CONFIGS["plain"]
    source = emit_verilog(AxiEngine(config), name="summand_engine", config=config)
    source = randomised(source, 3)
    module = "summand.cosim.tb_axi"
    _run(tmp_path, source, "summand_engine", config, "2012", module=module, tests="one_cycle")


def _beats(block: str) -> list[str]:
    """Return the beats of a block of the example in docs/stream.md, as numbers in hexadecimal."""
    text = (Path(__file__).resolve().parents[2] / "docs/stream.md").read_text()
    found = re.search(rf"```{block}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return [bytes.fromhex(line[:11])[::-1].hex() for line in found[1].splitlines()]


@pytest.mark.parametrize("technology", Technology)
@pytest.mark.parametrize("standard", ["2005", "2012"])
def test_example_of_the_stream_is_answered_as_documented(tmp_path, technology, standard):
    config = EngineConfig(
        rows=1, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16
    )
    source = emit_verilog(Engine(config), name="engine", config=config, technology=technology)
    source += simulation_models(technology)
    answer = _beats("output")
    counters = 8
    job = {"stream": _beats("input"), "answer": [*answer[:-counters], *[None] * counters]}
    module = "summand.cosim.tb_stream"
    _run(tmp_path, source, "engine", config, standard, module=module, job=job)
