"""``summand synth``: how much of an FPGA an engine takes, and how fast it is."""

import contextlib
import dataclasses
import importlib.metadata
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.consoles import open_console
from summand.cli.engine import (
    EngineBoardOption,
    EngineOption,
    TechnologyOption,
    choose_engine,
    choose_technology,
)
from summand.cli.folder import OutputFile, OutputFolder
from summand.isa import ConfigError, EngineConfig, SummandError
from summand.isa.distribution import VERSION
from summand.synth.targets import CELL_KINDS

if TYPE_CHECKING:
    from summand.boards.board import Board
    from summand.rtl.technology import Technology
    from summand.synth.engine import Measured
    from summand.synth.flow import Placement, PlaceOptions
    from summand.synth.steps import Progress
    from summand.synth.targets import Target

__all__ = ["register"]

_KIND = "summand-synthesis"
#: The tools' files, in the output folder; an interrupted call continues from them.
_WORK = "work"
_REPORT = "synth.json"


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("synth")(_synth)


def _synth(
    config: EngineOption = None,
    board: EngineBoardOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Keep figures, logs and the tools' files; a later call goes on from there.",
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=0, help="Seed of a placement, 1 without it; give several."),
    ] = None,
    route: Annotated[
        bool, typer.Option("--route/--no-route", help="Place and route, or only count cells.")
    ] = True,
    target: Annotated[
        str,
        typer.Option(
            metavar="ecp5|xilinx7|ultrascale+|gowin",
            help="The FPGA family; all but ecp5 are counted by Yosys only.",
        ),
    ] = "ecp5",
    technology: TechnologyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Synthesise an engine: look-up tables, flip-flops, memories, multipliers, and its clock.

    Only the engine is synthesised, with its AXI ports, out of context: its ports are no pins. The
    FPGA is that of --board, or an LFE5U-85F of speed 6. Place and route takes from a minute to an
    hour for each seed.
    """
    from summand.boards.parts import ECP5_85F
    from summand.cli.progress import heartbeat
    from summand.rtl.technology import Technology
    from summand.synth.engine import measure
    from summand.synth.model import fits
    from summand.synth.targets import ECP5, find_target

    start = time.perf_counter()
    engine, on = choose_engine(config, board, "synthesised")
    family = find_target(target)
    if seed and (family is not ECP5 or not route):
        raise SummandError(
            "--seed is of place and route, which only --target ecp5 without --no-route has"
        )
    if on and family is not ECP5:
        raise SummandError(f"{on.name} has a {on.part.name}: give --board or --target, not both")
    primitives = choose_technology(technology, family.name)
    if primitives not in (Technology.GENERIC, Technology.of_family(family.name)):
        raise SummandError(
            f"Verilog of --technology {primitives.value} names primitives that {family.title} does "
            f"not have; give --technology generic"
        )
    folder = OutputFolder(out, kind=_KIND, command="synth") if out else None
    seeds = tuple(dict.fromkeys(seed or (1,))) if route and family is ECP5 else ()
    logs = _log_names(family is ECP5, seeds)
    if seeds:
        fits(engine, on.part if on else ECP5_85F)
    if folder:
        folder.prepare({_REPORT, "config.json", *logs})
    with heartbeat(open_console(stderr=True)) as progress, _work(out) as work:
        if family is ECP5:
            measured, packed = _place(engine, primitives, work, _options(on), seeds, progress)
        else:
            measured = measure(
                engine, work, target=family, technology=primitives, progress=progress
            )
            packed = None
        report = _report(measured, packed)
        if folder:
            paths = [measured.netlist.log, *([packed.log] if packed else [])]
            paths += [p.log for p in measured.placements]
            files = {
                _REPORT: OutputFile(json.dumps(report, indent=2) + "\n", "figures"),
                "config.json": OutputFile(engine.to_json(), "the engine's configuration"),
            }
            tools = {n: OutputFile(p, "a tool's log") for n, p in zip(logs, paths, strict=True)}
            folder.write(files | tools, {"format": 1})
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        typer.echo(json.dumps({**report, "seconds": seconds}))
        return
    _show(report, family)
    typer.echo(f"{seconds:.0f} s" + (f"; files in {out}" if out else ""))


def _log_names(placed: bool, seeds: tuple[int, ...]) -> list[str]:
    packing = ["nextpnr-packing.log"] if placed else []
    return ["yosys.log", *packing, *(f"nextpnr-seed-{seed}.log" for seed in seeds)]


def _options(board: "Board | None") -> "PlaceOptions":
    from summand.synth.flow import PlaceOptions

    if board is None:
        return PlaceOptions()
    return PlaceOptions(part=board.part.name, package=board.package, speed_grade=board.speed_grade)


@contextlib.contextmanager
def _work(out: Path | None) -> Iterator[Path]:
    """Give a folder for the tools; it is kept only if it is in an output folder."""
    if out:
        yield out / _WORK
        return
    with tempfile.TemporaryDirectory(prefix="summand-") as folder:
        yield Path(folder)


def _place(
    engine: EngineConfig,
    technology: "Technology",
    work: Path,
    options: "PlaceOptions",
    seeds: tuple[int, ...],
    progress: "Progress",
) -> "tuple[Measured, Placement]":
    """Return the measurements: the packed design, then one placement for each seed."""
    from summand.synth.engine import measure_ecp5

    packing = dataclasses.replace(options, route=False)
    counted = measure_ecp5(engine, work, packing, technology=technology, progress=progress)
    (packed,) = counted.placements
    if not seeds:
        return dataclasses.replace(counted, placements=()), packed
    _check_fit(packed)
    placed = measure_ecp5(
        engine, work, options, seeds=seeds, technology=technology, progress=progress
    )
    return placed, packed


def _check_fit(packed: "Placement") -> None:
    for kind in CELL_KINDS:
        needed, there = packed.used[kind.nextpnr], packed.available[kind.nextpnr]
        if needed > there:
            raise ConfigError(
                f"the engine does not fit: it needs {needed:,} {kind.title} and the "
                f"{packed.options.part} has {there:,}; choose {kind.remedy}, or give --no-route "
                f"to count cells only"
            )


def _report(measured: "Measured", packed: "Placement | None") -> dict[str, Any]:
    from summand.synth.runs import runs_of

    netlist, config = measured.netlist, measured.config
    tools = {"amaranth": importlib.metadata.version("amaranth"), "yosys": netlist.tool}
    if packed:
        counts = {kind.name: packed.used[kind.nextpnr] for kind in CELL_KINDS}
        there = {kind.name: packed.available[kind.nextpnr] for kind in CELL_KINDS}
        options = packed.options
        where = {
            "part": options.part,
            "package": options.package,
            "speed_grade": options.speed_grade,
            "asked_mhz": options.mhz,
        }
        tools["nextpnr-ecp5"] = packed.tool
    else:
        counts, there, where = dataclasses.asdict(netlist.counts), None, {}
    runs = runs_of(measured)
    reached = {str(run.seed): run.fmax_mhz for run in runs if run.fmax_mhz is not None}
    macs = config.rows * config.plane_bits
    return {
        "format": 1,
        "summand": VERSION,
        "digest": config.digest,
        "config": dataclasses.asdict(config),
        "technology": measured.technology.value,
        "verilog_sha256": measured.verilog,
        "target": netlist.target.name,
        "placed": bool(runs),
        **where,
        "tools": tools,
        "used": counts,
        "available": there,
        "macs": macs,
        "luts_per_mac": round(counts["luts"] / macs, 3),
        "fmax_mhz": reached,
        "median_mhz": round(statistics.median(reached.values()), 2) if reached else None,
        "slowest_paths": {str(run.seed): run.path for run in runs},
        "cells": dict(sorted(netlist.cells.items())),
    }


def _show(report: dict[str, Any], family: "Target") -> None:
    where = family.title
    if report["available"]:
        where = f"{report['part']}-{report['speed_grade']} {report['package']}"
    typer.echo(f"engine {report['digest']} on {where}, out of context")
    if not report["available"]:
        typer.echo("  Yosys's counts, without place and route")
    elif not report["placed"]:
        typer.echo("  packed, without place and route")
    for kind in CELL_KINDS:
        used = report["used"][kind.name]
        line = f"  {kind.title:15}{used:9,g}"
        if report["available"]:
            there = report["available"][kind.name]
            line += f" of {there:7,}  {used / there:4.0%}"
        typer.echo(line)
    typer.echo(f"  {report['luts_per_mac']:.2f} look-up tables a 1-bit MAC, of {report['macs']:,}")
    for seed, mhz in report["fmax_mhz"].items():
        typer.echo(f"  seed {seed}: {mhz:.1f} MHz; slowest: {report['slowest_paths'][seed]}")
    if report["placed"]:
        typer.echo(f"  median {report['median_mhz']:.1f} MHz")
    typer.echo("  " + ", ".join(f"{tool} {version}" for tool, version in report["tools"].items()))
