"""Synthesise an engine with its AXI ports, out of context."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from summand.isa import ConfigError, EngineConfig
from summand.rtl.axi import MODULE, AxiEngine
from summand.rtl.emit import emit_verilog
from summand.rtl.technology import Technology
from summand.synth.flow import (
    Netlist,
    Placement,
    PlaceOptions,
    place_and_route,
    synthesise,
)
from summand.synth.steps import Progress
from summand.synth.targets import ECP5, Target
from summand.synth.tools import Source, find_tool

__all__ = ["CLOCK", "Measured", "engine_verilog", "measure", "measure_ecp5"]

#: The engine's clock, as its Verilog calls it.
CLOCK = "aclk"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What synthesis made of an engine.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    technology : Technology
        Whose primitives its Verilog names.
    verilog : str
        SHA-256 of its Verilog.
    netlist : Netlist
        From Yosys.
    placements : tuple of Placement
        From nextpnr, one a seed; none for families that are counted only.
    """

    config: EngineConfig
    technology: Technology
    verilog: str
    netlist: Netlist
    placements: tuple[Placement, ...] = ()


def engine_verilog(config: EngineConfig, technology: Technology) -> str:
    """Return the engine's Verilog, the same that ``summand generate`` writes."""
    return emit_verilog(AxiEngine(config), name=MODULE, config=config, technology=technology)


def measure(
    config: EngineConfig,
    folder: Path,
    *,
    target: Target = ECP5,
    technology: Technology | None = None,
    source: Source = Source.AUTO,
    progress: Progress | None = None,
) -> Measured:
    """Count the cells of an engine, by Yosys alone.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    folder : Path
        For the tools' files. What an earlier call with the same inputs left there is used.
    target : Target
        The family.
    technology : Technology, optional
        Whose primitives the Verilog names; the family's if not given.
    source : Source
        Where Yosys may come from.
    progress : callable, optional
        Called about every second with what is being done.

    Raises
    ------
    ToolError
        If Yosys is missing, too old or fails, or the folder cannot be written.
    """
    find_tool("yosys", source)
    if progress:
        progress("writing Verilog")
    technology = technology or Technology.of_family(target.name)
    text = engine_verilog(config, technology)
    netlist = synthesise(
        {f"{MODULE}.v": text},
        MODULE,
        folder / f"yosys-{target.name}",
        target=target,
        source=source,
        progress=progress,
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Measured(config=config, technology=technology, verilog=digest, netlist=netlist)


def measure_ecp5(
    config: EngineConfig,
    folder: Path,
    options: PlaceOptions,
    *,
    seeds: Sequence[int] = (1,),
    technology: Technology | None = None,
    source: Source = Source.AUTO,
    progress: Progress | None = None,
) -> Measured:
    """Synthesise an engine, and place and route it out of context once a seed.

    Parameters as of :func:`measure`; ``options`` says the rest, its seed aside.

    Raises
    ------
    ToolError
        If a tool is missing or too old, which is found before the first is run, or fails.
    """
    if not seeds:
        raise ConfigError("give at least one seed")
    for tool in ("yosys", "nextpnr-ecp5"):
        find_tool(tool, source)
    counted = measure(config, folder, technology=technology, source=source, progress=progress)
    device = f"{options.part}-{options.speed_grade}"
    placements = []
    for seed in seeds:
        wanted = dataclasses.replace(options, seed=seed, out_of_context=True)
        kind = f"seed-{seed}" if options.route else "packed"
        place = folder / f"nextpnr-{device}-{kind}"
        placements.append(
            place_and_route(counted.netlist, place, wanted, source=source, progress=progress)
        )
        if not options.route:
            break  # packing knows no seed
    return dataclasses.replace(counted, placements=tuple(placements))
