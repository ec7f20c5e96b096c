"""Build a component's Verilog for cocotb on Verilator."""

import importlib.metadata
from pathlib import Path

from amaranth.lib import wiring

from summand.cosim.bench import Bench, Simulator
from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.verilated.build import control_file
from summand.verilated.cache import cached, default_cache
from summand.verilated.compile import compile_model
from summand.verilated.tools import content_key, find_verilator

__all__ = ["build_bench"]

_MAKE_FLAGS = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0")


def build_bench(
    top: wiring.Component, *, name: str, config: EngineConfig, cache: Path | None = None
) -> Bench:
    """Return a simulator of ``top``, building it if need be.

    Only the top's ports are public, because cocotb's own default, every signal, makes the
    simulator several times slower. Simulators are kept by content.

    Raises
    ------
    ToolError
        If a tool is missing or fails, or the cache cannot be written.
    """
    from cocotb_tools import config as cocotb_config

    tool = find_verilator()
    ports = ["__".join(map(str, path)) for path, _, _ in top.signature.flatten(top)]
    source = emit_verilog(top, name=name, config=config)
    control = control_file(name) + "".join(
        f'public_flat_rw -module "{name}" -var "{port}"\n' for port in [*ports, "clk", "rst"]
    )
    libraries = cocotb_config.libs_dir
    main = cocotb_config.share_dir / "lib" / "verilator" / "verilator.cpp"
    arguments = (
        *("--cc", "--exe", "--vpi", "--top-module", name, "--prefix", "Vtop", "-Mdir", "obj"),
        *("-o", name, "-O3", "--timescale", "1ns/1ps", "-Wno-fatal", "-Wno-lint"),
        *("-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"),
        *(str(main), "control.vlt", f"{name}.v"),
    )
    parts = (
        tool.version,
        importlib.metadata.version("cocotb"),
        source,
        control,
        *arguments,
        *_MAKE_FLAGS,
    )

    cache = cache or default_cache()

    def build(folder: Path) -> Path:
        (folder / f"{name}.v").write_text(source)
        (folder / "control.vlt").write_text(control)
        tool.run([tool.executable, *arguments], folder)
        compile_model(tool, folder, "Vtop", _MAKE_FLAGS, cache=cache, options=["--vpi"])
        return folder / "obj" / name

    digest = content_key(*parts)
    path = cached(cache, f"{digest}.cocotb", build)
    return Bench(name, config, Simulator.VERILATOR, path)
