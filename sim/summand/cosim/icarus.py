"""Build Verilog for cocotb on Icarus, an event-driven simulator of four states."""

import enum
import re
import shutil
import subprocess
from pathlib import Path

from summand.cosim.bench import Bench, Simulator
from summand.isa import EngineConfig
from summand.verilated.cache import cached, default_cache
from summand.verilated.tools import ToolError, content_key, run_tool

__all__ = ["Standard", "build_icarus"]

#: Seconds that a compilation may take; it takes little more than reading the text.
_TIMEOUT_S = 300


class Standard(enum.Enum):
    """Versions of the language by Icarus's names; they differ in how processes start."""

    VERILOG_2005 = "2005"
    SYSTEMVERILOG_2012 = "2012"


def build_icarus(
    source: str,
    *,
    name: str,
    config: EngineConfig,
    standard: Standard = Standard.SYSTEMVERILOG_2012,
    cache: Path | None = None,
) -> Bench:
    """Return a simulator of the module ``name`` in ``source``, compiling it if need be.

    Parameters
    ----------
    source : str
        Complete Verilog, including models of primitives.
    name : str
        The top module.
    config : EngineConfig
        The configuration that the engine in it was generated for.
    standard : Standard
        The language that the source is read as.
    cache : Path, optional
        Where to keep it; :func:`~summand.verilated.cache.default_cache` if not given.

    Raises
    ------
    ToolError
        If Icarus is missing or refuses the source, or the cache cannot be written.
    """
    iverilog = shutil.which("iverilog")
    if iverilog is None:
        raise ToolError(
            "iverilog is not on PATH; install it (Debian, Ubuntu: apt-get install iverilog)"
        )
    version = _version(iverilog)
    command = (iverilog, f"-g{standard.value}", "-s", name, "-f", "timescale.f", "-o", "sim.vvp")

    def build(folder: Path) -> Path:
        (folder / f"{name}.v").write_text(source)
        (folder / "timescale.f").write_text("+timescale+1ns/1ps\n")
        run_tool([*command, f"{name}.v"], folder, version=version, timeout_s=_TIMEOUT_S)
        return folder / "sim.vvp"

    digest = content_key(version, *command, source)
    path = cached(cache or default_cache(), f"{digest}.vvp", build)
    return Bench(name, config, Simulator.ICARUS, path)


def _version(iverilog: str) -> str:
    done = subprocess.run([iverilog, "-V"], capture_output=True, text=True, timeout=60)
    found = re.search(r"^Icarus Verilog version \S+", done.stdout, re.MULTILINE)
    if found is None:
        raise ToolError(f"{iverilog} does not say which version it is; is it Icarus Verilog?")
    return found[0]
