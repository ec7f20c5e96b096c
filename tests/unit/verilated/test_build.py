from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import MODULE, AxiEngine
from summand.verilated import engine_verilog
from summand.verilated.build import control_file


def test_what_is_simulated_is_what_is_generated():
    config = EngineConfig()
    generated = emit_verilog(AxiEngine(config), name=MODULE, config=config)
    assert engine_verilog(config) == generated


def test_modules_named_to_verilator_exist():
    """Verilator would ignore a name that no longer exists, and the build would be slow."""
    text = engine_verilog(EngineConfig())
    for name in ("row", "column"):
        assert f'-module "{MODULE}_{name}"' in control_file(MODULE)
        assert f"\nmodule {MODULE}_{name}(" in text
