"""``summand synth``: how much of an FPGA an engine takes, and how fast it is."""

import contextlib
import dataclasses
import datetime
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
from summand.families.cells import CELL_KINDS
from summand.families.registry import DEFAULT_FAMILY, FAMILIES, find_family
from summand.isa import ConfigError, EngineConfig, SummandError
from summand.isa.distribution import VERSION

if TYPE_CHECKING:
    from summand.families.base import FpgaFamily
    from summand.families.flow import PlaceOptions
    from summand.rtl.technology import Technology
    from summand.synth.measure import Measured
    from summand.synth.placement import Placement
    from summand.synth.steps import Progress

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
    family: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(FAMILIES),
            help="The FPGA family, if not the board's; some are not placed, only counted.",
        ),
    ] = None,
    technology: TechnologyOption = None,
    page: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the figures to an HTML page, too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Synthesise an engine: look-up tables, flip-flops, memories, multipliers, and its clock.

    The engine alone, with its AXI ports, out of context: its ports are no pins. The FPGA is that of
    --board, else the first of the family. Place and route takes from a minute to an hour for each
    seed.
    """
    from summand.cli.progress import heartbeat
    from summand.families.flow import PlaceOptions
    from summand.synth.estimate import fits
    from summand.synth.measure import measure

    start = time.perf_counter()
    engine, on = choose_engine(config, board, "synthesised")
    of = find_family(family) if family else on.family if on else DEFAULT_FAMILY
    if seed and not (of.flow and route):
        raise SummandError(
            f"--seed is of place and route, which --family {of.name} does not have"
            if route
            else "--seed is of place and route: leave out --seed or --no-route"
        )
    if on and on.family is not of:
        raise SummandError(
            f"{on.name} has a {on.chip.part.name}, which is no {of.title}: leave out --board or "
            "--family"
        )
    primitives = choose_technology(technology, of)
    chip = on.chip if on else of.chips[0] if of.chips else None
    folder = OutputFolder(out, kind=_KIND, command="synth") if out else None
    options = PlaceOptions(chip=chip) if of.flow and chip else None
    seeds = tuple(dict.fromkeys(seed or (1,))) if route and options else ()
    logs = _log_names(options is not None, seeds)
    if options and seeds:
        fits(engine, options.chip.part)
    if folder:
        folder.prepare({_REPORT, "config.json", *logs})
    with heartbeat(open_console(stderr=True)) as progress, _work(out) as work:
        if options:
            measured, packed = _place(engine, primitives, work, options, seeds, progress)
        else:
            measured = measure(engine, work, family=of, technology=primitives, progress=progress)
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
    if page:
        _publish(page, report, of)
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        typer.echo(json.dumps({**report, "seconds": seconds}))
        return
    _show(report, of)
    typer.echo(f"{seconds:.0f} s" + (f"; files in {out}" if out else ""))


def _log_names(placed: bool, seeds: tuple[int, ...]) -> list[str]:
    packing = ["nextpnr-packing.log"] if placed else []
    return ["yosys.log", *packing, *(f"nextpnr-seed-{seed}.log" for seed in seeds)]


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
    """Return what was measured, one placement a seed, and the packed design before them."""
    from summand.synth.measure import measure_placed

    packing = dataclasses.replace(options, route=False)
    counted = measure_placed(engine, work, packing, technology=technology, progress=progress)
    (packed,) = counted.placements
    if not seeds:
        return dataclasses.replace(counted, placements=()), packed
    _check_fit(packed)
    placed = measure_placed(
        engine, work, options, seeds=seeds, technology=technology, progress=progress
    )
    return placed, packed


def _check_fit(packed: "Placement") -> None:
    for kind in CELL_KINDS:
        needed, there = packed.cells.used[kind.name], packed.cells.available[kind.name]
        if needed > there:
            raise ConfigError(
                f"the engine does not fit: it needs {needed:,} {kind.title} and the "
                f"{packed.options.chip.part.name} has {there:,}; choose {kind.remedy}, or "
                "give --no-route to count cells only"
            )


def _report(measured: "Measured", packed: "Placement | None") -> dict[str, Any]:
    from summand.synth.runs import runs_of

    netlist, config = measured.netlist, measured.config
    tools = {"amaranth": importlib.metadata.version("amaranth"), "yosys": netlist.tool}
    if packed:
        counts, there = dict(packed.cells.used), dict(packed.cells.available)
        chip = packed.options.chip
        where = {
            "part": chip.part.name,
            "package": chip.package,
            "speed_grade": chip.speed_grade,
            "asked_mhz": packed.options.mhz,
        }
        tools["nextpnr"] = packed.tool
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
        "family": netlist.family.name,
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


def _publish(path: Path, report: dict[str, Any], family: "FpgaFamily") -> None:
    """Write the page; raises :class:`~summand.report.ReportError` if it cannot be written."""
    from rich.table import Table

    from summand.cli.reports import made_by
    from summand.report.page import write_text
    from summand.report.tables import tables_page

    how = "placed and routed" if report["placed"] else "packed"
    how = f"measured, {how}" if report["available"] else "measured, counted by Yosys"
    cells = Table("", "used", "available", "share", title=f"Cells, {how}")
    for kind in CELL_KINDS:
        used, there = report["used"][kind.name], (report["available"] or {}).get(kind.name)
        share = (f"{there:,}", f"{used / there:.0%}") if there else ("", "")
        cells.add_row(kind.title, f"{used:,g}", *share)
    clocks = Table("seed", "MHz", "slowest path", title="Clock, measured, place and route")
    for seed, mhz in report["fmax_mhz"].items():
        clocks.add_row(seed, f"{mhz:.1f}", report["slowest_paths"][seed])
    headline = [
        (f"{report['used']['luts']:,}", f"look-up tables, {how}"),
        (f"{report['luts_per_mac']:.2f}", f"look-up tables a 1-bit MAC, of {report['macs']:,}"),
    ]
    if report["median_mhz"]:
        headline.append((f"{report['median_mhz']:.1f} MHz", "median of the seeds, measured"))
    tools = ", ".join(f"{tool} {version}" for tool, version in report["tools"].items())
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = tables_page(
        f"Engine {report['digest']} on {report.get('part', family.title)}",
        headline,
        [cells, clocks] if report["placed"] else [cells],
        [f"The engine with its AXI ports, out of context. {tools}.", json.dumps(report["config"])],
        made_by(date),
    )
    write_text(text, path)


def _show(report: dict[str, Any], family: "FpgaFamily") -> None:
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
