"""nextpnr's report of a design: cells, clocks, slowest paths."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.families.base import FpgaFamily
from summand.families.cells import CELL_KINDS
from summand.families.flow import PlaceOptions

__all__ = ["CriticalPath", "PlacedClock", "Placement", "ReportedCells", "report_fields"]


@dataclass(frozen=True, kw_only=True)
class PlacedClock:
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
class ReportedCells:
    """How many cells of each kind a design uses, and how many the FPGA has.

    Parameters
    ----------
    used, available : mapping of str to int
        By the kind's name, one for each of :data:`~summand.families.cells.CELL_KINDS`.
    """

    used: Mapping[str, int]
    available: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A packed design, placed and routed too if the options say so.

    Parameters
    ----------
    options : PlaceOptions
        How it was made.
    cells : ReportedCells
        What it uses.
    clocks : mapping of str to PlacedClock
        Frequencies, by the clocks' names.
    paths : tuple of CriticalPath
        The slowest path of each clock.
    config : Path or None
        The configuration from which the packer makes a bitstream.
    tool : str
        nextpnr's version.
    seconds : float
        How long it took when it was run.
    reused : bool
        It was run earlier, with the same inputs.
    log : Path
        What nextpnr printed.
    """

    options: PlaceOptions
    cells: ReportedCells
    clocks: Mapping[str, PlacedClock]
    paths: tuple[CriticalPath, ...]
    config: Path | None
    tool: str
    seconds: float
    reused: bool
    log: Path


def report_fields(report: Any, family: FpgaFamily) -> dict[str, Any]:
    """Return the fields of :class:`Placement` that nextpnr's report, read from JSON, decides.

    Raises
    ------
    KeyError, TypeError
        If it is no such report.
    """
    cells = {kind.name: report["utilization"][family.placed[kind.name]] for kind in CELL_KINDS}
    return {
        "cells": ReportedCells(
            used={name: cell["used"] for name, cell in cells.items()},
            available={name: cell["available"] for name, cell in cells.items()},
        ),
        "clocks": {
            name: PlacedClock(achieved_mhz=clock["achieved"], constraint_mhz=clock["constraint"])
            for name, clock in report["fmax"].items()
        },
        "paths": _paths(report["critical_paths"]),
    }


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
