"""From Verilog to a placed and routed design: Yosys, then the programs of the family's flow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.families.base import FpgaFamily
from summand.families.cells import CellCounts
from summand.families.flow import PlaceFlow, PlaceOptions
from summand.families.registry import find_family
from summand.synth.placement import Placement, report_fields
from summand.synth.steps import LOG, Progress, ToolStep, run_step
from summand.synth.tools import YOSYS, ToolError, ToolSource, find_tool

__all__ = ["Netlist", "pack", "place_and_route", "synthesise"]

_NETLIST, _CELLS, _REPORT = "netlist.json", "cells.json", "report.json"
_BITSTREAM = "top.bit"


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A synthesised design.

    Parameters
    ----------
    top : str
        Its top module.
    family : FpgaFamily
        The family it is for.
    path : Path or None
        The netlist that nextpnr reads; None for families that are counted only.
    cells : mapping of str to int
        How many there are of each cell type.
    tool : str
        Yosys's version.
    seconds : float
        How long it took when it was run.
    reused : bool
        It was run earlier, with the same inputs.
    log : Path
        What Yosys printed.
    """

    top: str
    family: FpgaFamily
    path: Path | None
    cells: Mapping[str, int]
    tool: str
    seconds: float
    reused: bool
    log: Path

    @property
    def counts(self) -> CellCounts:
        """The cells by kind."""
        return self.family.cells.count(self.cells)


def synthesise(
    verilog: Mapping[str, str],
    top: str,
    folder: Path,
    *,
    family: FpgaFamily,
    source: ToolSource = ToolSource.AUTO,
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
    family : FpgaFamily
        The family it is for.
    source : ToolSource
        Where Yosys may come from.
    progress : callable, optional
        Called about every second with what Yosys does.

    Raises
    ------
    ToolError
        If Yosys is missing, too old or fails, or the folder cannot be written.
    """
    yosys = find_tool(YOSYS.name, source)
    placeable = family.flow is not None
    script = "; ".join(
        (
            f"read_verilog {' '.join(verilog)}",
            f"{family.synthesis} -top {top}{f' -json {_NETLIST}' if placeable else ''}",
            f"tee -q -o {_CELLS} stat -json",
        )
    )
    step = ToolStep(
        tool=yosys,
        # YoWASP's Yosys prints nothing more once it has run ABC, but its log goes on.
        arguments=("-L", LOG, "-p", script),
        logs=True,
        inputs=verilog,
        outputs=(_NETLIST, _CELLS) if placeable else (_CELLS,),
    )
    done = run_step(step, folder, progress=progress)
    return Netlist(
        top=top,
        family=family,
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
    source: ToolSource = ToolSource.AUTO,
    progress: Progress | None = None,
) -> Placement:
    """Place and route a netlist.

    A missed clock is no error here: see :attr:`Placement.clocks`.

    Parameters
    ----------
    netlist : Netlist
        What :func:`synthesise` made for the chip's family.
    folder : Path
        For nextpnr's files alone. Called again with nothing changed, reads what is there.
    options : PlaceOptions
        How.
    source : ToolSource
        Where nextpnr may come from.
    progress : callable, optional
        Called about every second with what nextpnr does.

    Raises
    ------
    ToolError
        If nextpnr is missing, too old or fails (the design does not fit, say), or the folder
        cannot be written.
    ConfigError
        If nextpnr does not know the part.
    """
    if netlist.path is None or netlist.family.flow is None:
        raise ToolError(f"{netlist.family.title} is counted only, not placed and routed")
    flow = netlist.family.flow
    call = flow.place(options)
    nextpnr = find_tool(call.tool, source)
    step = ToolStep(
        tool=nextpnr,
        arguments=(
            *call.arguments,
            *("--json", _NETLIST, "--top", netlist.top, "--report", _REPORT),
        ),
        inputs={_NETLIST: _prepared(netlist.path, flow), **call.inputs},
        outputs=(_REPORT, *call.outputs),
    )
    done = run_step(step, folder, progress=progress)
    try:
        reported = report_fields(_read(folder / _REPORT), netlist.family)
    except (KeyError, TypeError) as e:
        raise ToolError(
            f"{folder / _REPORT} is not what nextpnr should have written: {e}"
        ) from None
    return Placement(
        options=options,
        **reported,
        config=folder / flow.config if options.config else None,
        tool=nextpnr.version,
        seconds=done.seconds,
        reused=done.reused,
        log=done.log,
    )


def pack(
    placement: Placement,
    folder: Path,
    *,
    source: ToolSource = ToolSource.AUTO,
    progress: Progress | None = None,
) -> Path:
    """Return the path of the bitstream of a placement that was made with ``config=True``.

    Raises
    ------
    ToolError
        If the packer is missing, too old or fails, or the folder cannot be written.
    """
    flow = find_family(placement.options.chip.part.family).flow
    if placement.config is None or flow is None:
        raise ToolError("a bitstream needs a placement with its configuration")
    call = flow.pack(_BITSTREAM)
    step = ToolStep(
        tool=find_tool(call.tool, source),
        arguments=call.arguments,
        inputs={flow.config: placement.config, **call.inputs},
        outputs=call.outputs,
    )
    run_step(step, folder, progress=progress)
    return folder / _BITSTREAM


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise ToolError(f"cannot read {path}: {e}") from None


def _prepared(path: Path, flow: PlaceFlow) -> str:
    design = _read(path)
    try:
        flow.prepare(design)
        return json.dumps(design)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise ToolError(f"{path} is not what Yosys should have written: {e}") from None


def _cells(path: Path, top: str) -> dict[str, int]:
    try:
        found = _read(path)["modules"][f"\\{top}"]["num_cells_by_type"]
        return {name: int(count) for name, count in found.items() if not name.startswith("$")}
    except (KeyError, TypeError, AttributeError) as e:
        raise ToolError(f"{path} is not what Yosys should have written: {e}") from None
