"""From Verilog to a placed and routed design: Yosys, nextpnr, ecppack."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.isa import ConfigError
from summand.synth.carries import free_carries
from summand.synth.steps import LOG, Progress, Step, run_step
from summand.synth.targets import ECP5, CellCounts, Target, nextpnr_device
from summand.synth.tools import Source, ToolError, find_tool

__all__ = [
    "BITSTREAM",
    "DEFAULT_MHZ",
    "Clock",
    "CriticalPath",
    "Netlist",
    "PlaceOptions",
    "Placement",
    "pack",
    "place_and_route",
    "synthesise",
]

#: What nextpnr is asked for where nothing else sets the clock. It works as hard as it must.
DEFAULT_MHZ = 180.0

#: The bitstream's file name.
BITSTREAM = "top.bit"

_NETLIST, _CELLS = "netlist.json", "cells.json"
_REPORT, _CONFIG = "report.json", "top.config"


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A synthesised design.

    Parameters
    ----------
    top : str
        Its top module.
    target : Target
        The family it is for.
    path : Path or None
        The netlist that nextpnr takes; None for families without place and route here.
    cells : mapping of str to int
        How many there are of each cell type.
    tool : str
        Yosys's version.
    seconds : float
        How long it took when it was run.
    reused : bool
        It was run earlier, with the same inputs.
    log : Path
        What Yosys said.
    """

    top: str
    target: Target
    path: Path | None
    cells: Mapping[str, int]
    tool: str
    seconds: float
    reused: bool
    log: Path

    @property
    def counts(self) -> CellCounts:
        """The cells by kind."""
        return self.target.count(self.cells)


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """How to place and route.

    Parameters
    ----------
    part : str
        The FPGA, such as ``LFE5U-85F``.
    package : str
        Its package, such as ``CABGA381``.
    speed_grade : int
        6, 7 or 8.
    mhz : float
        Clock frequency to reach, for clocks that ``lpf`` does not constrain.
    seed : int
        Of the placement.
    lpf : str or None
        Text of the pin and clock constraints. Pins that it does not name are left open.
    out_of_context : bool
        The design is a block, and its ports are no pins.
    route : bool
        False ends after packing: cells are counted, and no clock is known. Takes a second.
    config : bool
        Write the configuration that :func:`pack` makes a bitstream of.
    """

    part: str = "LFE5U-85F"
    package: str = "CABGA381"
    speed_grade: int = 6
    mhz: float = DEFAULT_MHZ
    seed: int = 1
    lpf: str | None = None
    out_of_context: bool = False
    route: bool = True
    config: bool = False

    def __post_init__(self):
        nextpnr_device(self.part)
        if self.config and (self.out_of_context or not self.route):
            raise ConfigError("a configuration needs pins and routes: not out of context")

    def arguments(self) -> tuple[str, ...]:
        """Return nextpnr's arguments, files aside."""
        return (
            nextpnr_device(self.part),
            *("--package", self.package, "--speed", str(self.speed_grade)),
            *("--freq", f"{self.mhz:g}", "--seed", str(self.seed)),
            # What is missed is in the report; the caller decides what it means.
            "--timing-allow-fail",
            *(("--lpf", "pins.lpf") if self.lpf is not None else ()),
            "--lpf-allow-unconstrained",
            *(("--out-of-context",) if self.out_of_context else ()),
            *(() if self.route else ("--pack-only",)),
        )


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A clock of a placed design, MHz."""

    achieved_mhz: float
    constraint_mhz: float

    @property
    def met(self) -> bool:
        """It runs at what was asked for."""
        return self.achieved_mhz >= self.constraint_mhz


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """The slowest path between two clock edges, ns."""

    clock: str
    start: str
    end: str
    logic_ns: float
    routing_ns: float
    cells: int

    def __str__(self) -> str:
        return (
            f"{self.start} -> {self.end}: {self.logic_ns + self.routing_ns:.2f} ns "
            f"({self.logic_ns:.2f} logic, {self.routing_ns:.2f} routing, {self.cells} cells)"
        )


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A packed design, placed and routed too if the options say so.

    Parameters
    ----------
    options : PlaceOptions
        How it was made.
    used, available : mapping of str to int
        Cells of each type, nextpnr's names.
    clocks : mapping of str to Clock
        Frequencies, by the clocks' names.
    paths : tuple of CriticalPath
        The slowest path of each clock.
    config : Path or None
        What :func:`pack` takes.
    tool : str
        nextpnr's version.
    seconds : float
        How long it took when it was run.
    reused : bool
        It was run earlier, with the same inputs.
    log : Path
        What nextpnr said.
    """

    options: PlaceOptions
    used: Mapping[str, int]
    available: Mapping[str, int]
    clocks: Mapping[str, Clock]
    paths: tuple[CriticalPath, ...]
    config: Path | None
    tool: str
    seconds: float
    reused: bool
    log: Path


def synthesise(
    verilog: Mapping[str, str],
    top: str,
    folder: Path,
    *,
    target: Target = ECP5,
    source: Source = Source.AUTO,
    progress: Progress | None = None,
) -> Netlist:
    """Synthesise ``top``, one of the modules in ``verilog``.

    Parameters
    ----------
    verilog : mapping of str to str
        File names and texts; the names end in ``.v``.
    top : str
        The top module.
    folder : Path
        For Yosys's files alone. Called again with nothing changed, reads what is there.
    target : Target
        The family.
    source : Source
        Where Yosys may come from.
    progress : callable, optional
        Called about every second with what Yosys does.

    Raises
    ------
    ToolError
        If Yosys is missing, too old or fails, or the folder cannot be written.
    """
    yosys = find_tool("yosys", source)
    placeable = target is ECP5
    script = "; ".join(
        (
            f"read_verilog {' '.join(verilog)}",
            f"{target.command} -top {top}{f' -json {_NETLIST}' if placeable else ''}",
            f"tee -q -o {_CELLS} stat -json",
        )
    )
    step = Step(
        tool=yosys,
        # After running ABC, YoWASP's Yosys prints nothing more; the log has it.
        arguments=("-L", LOG, "-p", script),
        logs=True,
        inputs=verilog,
        outputs=(_NETLIST, _CELLS) if placeable else (_CELLS,),
    )
    done = run_step(step, folder, progress=progress)
    return Netlist(
        top=top,
        target=target,
        path=folder / _NETLIST if placeable else None,
        cells=_cells(folder / _CELLS, top),
        tool=yosys.version,
        seconds=done.seconds,
        reused=done.reused,
        log=done.log,
    )


def place_and_route(
    netlist: Netlist,
    folder: Path,
    options: PlaceOptions,
    *,
    source: Source = Source.AUTO,
    progress: Progress | None = None,
) -> Placement:
    """Place and route a netlist for an ECP5.

    A clock that is missed is no error here: see :attr:`Placement.clocks`.

    Parameters
    ----------
    netlist : Netlist
        What :func:`synthesise` made for :data:`ECP5`.
    folder : Path
        For nextpnr's files alone. Called again with nothing changed, reads what is there.
    options : PlaceOptions
        How.
    source : Source
        Where nextpnr may come from.
    progress : callable, optional
        Called about every second with what nextpnr does.

    Raises
    ------
    ToolError
        If nextpnr is missing, too old or fails (the design does not fit, say), or the folder
        cannot be written.
    """
    if netlist.path is None:
        raise ToolError(f"{netlist.target.title} is counted only, not placed and routed")
    nextpnr = find_tool("nextpnr-ecp5", source)
    step = Step(
        tool=nextpnr,
        arguments=(
            *options.arguments(),
            *("--json", _NETLIST, "--top", netlist.top, "--report", _REPORT),
            *(("--textcfg", _CONFIG) if options.config else ()),
        ),
        inputs={
            _NETLIST: _freed(netlist.path),
            **({"pins.lpf": options.lpf} if options.lpf is not None else {}),
        },
        outputs=(_REPORT, _CONFIG) if options.config else (_REPORT,),
    )
    done = run_step(step, folder, progress=progress)
    report = _read(folder / _REPORT)
    try:
        cells = report["utilization"]
        return Placement(
            options=options,
            used={name: cell["used"] for name, cell in cells.items()},
            available={name: cell["available"] for name, cell in cells.items()},
            clocks={
                name: Clock(achieved_mhz=clock["achieved"], constraint_mhz=clock["constraint"])
                for name, clock in report["fmax"].items()
            },
            paths=_paths(report["critical_paths"]),
            config=folder / _CONFIG if options.config else None,
            tool=nextpnr.version,
            seconds=done.seconds,
            reused=done.reused,
            log=done.log,
        )
    except (KeyError, TypeError) as e:
        raise ToolError(
            f"{folder / _REPORT} is not what nextpnr should have written: {e}"
        ) from None


def pack(
    placement: Placement,
    folder: Path,
    *,
    source: Source = Source.AUTO,
    progress: Progress | None = None,
) -> Path:
    """Return the path of the bitstream of a placement that was made with ``config=True``.

    Raises
    ------
    ToolError
        If ecppack is missing, too old or fails, or the folder cannot be written.
    """
    if placement.config is None:
        raise ToolError("a bitstream needs a placement with its configuration")
    step = Step(
        tool=find_tool("ecppack", source),
        arguments=("--compress", _CONFIG, BITSTREAM),
        inputs={_CONFIG: placement.config},
        outputs=(BITSTREAM,),
    )
    run_step(step, folder, progress=progress)
    return folder / BITSTREAM


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise ToolError(f"cannot read {path}: {e}") from None


def _freed(path: Path) -> str:
    design = _read(path)
    try:
        free_carries(design)
        return json.dumps(design)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise ToolError(f"{path} is not what Yosys should have written: {e}") from None


def _cells(path: Path, top: str) -> dict[str, int]:
    try:
        found = _read(path)["modules"][f"\\{top}"]["num_cells_by_type"]
        return {name: int(count) for name, count in found.items() if not name.startswith("$")}
    except (KeyError, TypeError, AttributeError) as e:
        raise ToolError(f"{path} is not what Yosys should have written: {e}") from None


def _paths(found: list[dict[str, Any]]) -> tuple[CriticalPath, ...]:
    """Return the slowest path of each clock, those to and from pins left out."""
    paths = []
    for path in found:
        clock = re.fullmatch(r"(?:posedge|negedge) (.+)", path["from"])
        if clock is None or path["to"] != path["from"]:
            continue
        hops = path["path"]
        delay = {"logic": 0.0, "routing": 0.0}
        for hop in hops:
            delay["routing" if hop["type"] == "routing" else "logic"] += hop["delay"]
        paths.append(
            CriticalPath(
                clock=clock[1],
                start=f"{hops[0]['from']['cell']}.{hops[0]['from']['port']}",
                end=f"{hops[-1]['to']['cell']}.{hops[-1]['to']['port']}",
                logic_ns=round(delay["logic"], 3),
                routing_ns=round(delay["routing"], 3),
                cells=sum(hop["type"] == "logic" for hop in hops) + 1,
            )
        )
    return tuple(paths)
