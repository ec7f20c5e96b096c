"""Synthesise an engine with its AXI ports, out of context."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from summand.families.base import FpgaFamily
from summand.families.flow import PlaceOptions
from summand.families.registry import find_family
from summand.isa import ConfigError, EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import MODULE, AxiEngine
from summand.rtl.technology import Technology
from summand.synth.flow import Netlist, place_and_route, synthesise
from summand.synth.placement import Placement
from summand.synth.steps import Progress
from summand.synth.tools import YOSYS, ToolError, ToolSource, find_tool

__all__ = ["CLOCK", "Measured", "engine_verilog", "measure", "measure_placed"]

#: The engine's clock, as its Verilog calls it.
CLOCK = "aclk"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The results of synthesising an engine.

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
    family: FpgaFamily,
    technology: Technology,
    source: ToolSource = ToolSource.AUTO,
    progress: Progress | None = None,
) -> Measured:
    """Count the cells of an engine, by Yosys alone.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    folder : Path
        For the tools' files. What an earlier call with the same inputs left there is used.
    family : FpgaFamily
        The family.
    technology : Technology
        Whose primitives the Verilog names.
    source : ToolSource
        Where Yosys may come from.
    progress : callable, optional
        Called about every second with what is being done.

    Raises
    ------
    ToolError
        If Yosys is missing, too old or fails, or the folder cannot be written.
    """
    find_tool(YOSYS.name, source)
    if progress:
        progress("writing Verilog")
    text = engine_verilog(config, technology)
    netlist = synthesise(
        {f"{MODULE}.v": text},
        MODULE,
        folder / f"yosys-{family.name}",
        family=family,
        source=source,
        progress=progress,
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Measured(config=config, technology=technology, verilog=digest, netlist=netlist)


def measure_placed(
    config: EngineConfig,
    folder: Path,
    options: PlaceOptions,
    *,
    seeds: Sequence[int] = (1,),
    technology: Technology,
    source: ToolSource = ToolSource.AUTO,
    progress: Progress | None = None,
) -> Measured:
    """Synthesise an engine, and place and route it out of context once a seed.

    Parameters as of :func:`measure`; the family is that of the chip in ``options``, whose seed
    is not used.

    Raises
    ------
    ToolError
        If a tool is missing or too old, which is found before the first is run, or fails.
    """
    if not seeds:
        raise ConfigError("give at least one seed")
    family = find_family(options.chip.part.family)
    if family.flow is None:
        raise ToolError(f"{family.title} is counted only, not placed and routed")
    for tool in (YOSYS, family.flow.tools[0]):
        find_tool(tool.name, source)
    counted = measure(
        config, folder, family=family, technology=technology, source=source, progress=progress
    )
    placements = []
    for seed in seeds:
        wanted = dataclasses.replace(options, seed=seed, out_of_context=True)
        kind = f"seed-{seed}" if options.route else "packed"
        place = folder / f"nextpnr-{options.chip}-{kind}"
        placements.append(
            place_and_route(counted.netlist, place, wanted, source=source, progress=progress)
        )
        if not options.route:
            break  # packing does not depend on the seed
    return dataclasses.replace(counted, placements=tuple(placements))
