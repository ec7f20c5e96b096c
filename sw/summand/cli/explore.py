"""``summand explore``: the best engines and compressions of a model for a board."""

import datetime
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.arguments import (
    ALL_FEATURES,
    CalibrationOption,
    CalibrationTokensOption,
    FeaturesOption,
    MadeBoardOption,
    MaxKlOption,
    MaxLutOption,
    RouteOption,
    SourceArgument,
)
from summand.cli.consoles import open_console
from summand.cli.progress import part_bars
from summand.cli.reports import compared_lines, made_by

if TYPE_CHECKING:
    from rich.console import Console

    from summand.explore.exploration import Exploration

__all__ = ["register"]

#: Points of the front that are shown; all are in the report.
_ROWS = 16


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("explore")(_explore)


def _explore(
    model: SourceArgument,
    board: MadeBoardOption,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", help="Where to write; a later call goes on."),
    ],
    prefill: Annotated[int, typer.Option(help="Tokens of a prompt.", min=0)] = 512,
    decode: Annotated[int, typer.Option(help="Tokens written behind it.", min=0)] = 256,
    batch: Annotated[int, typer.Option(help="Texts at a time.", min=1)] = 1,
    max_kl: MaxKlOption = 0.1,
    min_tokens_per_second: Annotated[
        float, typer.Option(help="Tokens written a second at least, all texts together.")
    ] = 0.0,
    max_lut: MaxLutOption = None,
    features: FeaturesOption = ALL_FEATURES,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Make the chosen point: compress and evaluate the model, run every layer on the "
            "generated Verilog, count the engine's cells. Takes minutes.",
        ),
    ] = False,
    route: RouteOption = False,
    measure_front: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Compress and evaluate N points from end to end of the front, the chosen one "
            "among them. Each takes minutes, once.",
            min=0,
        ),
    ] = 0,
    calibration: CalibrationOption = None,
    calibration_tokens: CalibrationTokensOption = 8192,
    executor: Annotated[
        str,
        typer.Option(help="Where layers are tried: threads, loky, dask or ray, as for compress."),
    ] = "threads",
    workers: Annotated[
        int | None,
        typer.Option(help="Threads or processes; as many as there are cores by default.", min=1),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Search for the engine and the compression of a model that suit a board best.

    Every engine that fits the board by the model of resources is tried with allocations of all
    summands to the model's layers. DIR gets explore.json, engine.json (the chosen engine),
    trace.npz (every engine), report.html, and what calibration found, which a later call uses
    again.
    """
    from summand.boards.library import find_board
    from summand.compress import Workers
    from summand.explore.errors import ExploreError
    from summand.explore.exploration import Exploration
    from summand.explore.workload import Limits, Workload

    start = time.perf_counter()
    where = find_board(board)
    workload = Workload(prefill=prefill, decode=decode, batch=batch)
    limits = Limits(kl=max_kl, tokens_s=min_tokens_per_second, luts=max_lut)
    if route and where.family.flow is None:
        raise ExploreError(
            f"{where.family.title} is counted only, not placed and routed; leave out --route"
        )
    team = Workers(executor, workers)
    console, errors = open_console(), open_console(stderr=True)
    with errors.status(f"Loading {model}"):
        exploration = Exploration.open(
            model, where, workload, limits, out, calibration, calibration_tokens, features
        )
    if exploration.note:
        errors.print(f"summand: {exploration.note}", soft_wrap=True)
    parts = ("sensitivity", "calibrating", "estimating", "exploring", "counting", "compressing")
    more = ("evaluating", "measuring", "simulating", "synthesising")
    with part_bars((*parts, *more), errors) as show:
        record = exploration.run(
            workers=team,
            measure=measure or route,
            route=route,
            measure_front=measure_front,
            progress=show,
        )
    record |= {
        "seconds": round(time.perf_counter() - start, 1),
        "made": made_by(datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")),
    }
    exploration.keep(record)
    written = _publish(exploration, record)
    if as_json:
        typer.echo(json.dumps(record))
    else:
        _show(record, console)
        console.print(written, soft_wrap=True)
    if (measured := record.get("measured")) is None:
        return
    needed, reached = where.clock.engine_hz / 1e6, measured["cells"].get("fmax_mhz")
    if missed := reached is not None and reached < needed:
        errors.print(
            f"summand: the engine reaches {reached:.1f} of the {needed:g} MHz that times are "
            f"projected with; lower engine_hz in a file of the board",
            soft_wrap=True,
        )
    if missed or not all(phase["law_equal"] for phase in measured["cycles"]["phases"]):
        raise typer.Exit(1)


def _publish(exploration: "Exploration", record: dict[str, Any]) -> str:
    """Write the report, if matplotlib is installed; returns a line on it."""
    import importlib.util

    from summand.isa.distribution import install_command

    if importlib.util.find_spec("matplotlib") is None:
        return f"No report: it needs matplotlib; {install_command('plots')}"
    from summand.report.explored import explored_markdown, explored_page
    from summand.report.page import write_text

    path = exploration.folder / "report.html"
    write_text(explored_markdown(record), path.with_name("front.md"))
    write_text(explored_page(record), path)
    return f"Report in {path}"


def _show(record: dict[str, Any], console: "Console") -> None:
    from rich.table import Table

    from summand.explore.features import FEATURES
    from summand.report.measured import measured_heads, measured_points, measured_rows

    table = Table(box=None, pad_edge=False)
    for title in ("time, s", "tokens/s", "loss", "perplexity", "bits", "LUT"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("rows", "cols x depth"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("with", no_wrap=True)
    front = record["front"]
    shown = min(_ROWS, len(front))
    for i in range(shown):
        table.add_row(*_cells(front[i * (len(front) - 1) // max(1, shown - 1)]))
    console.print(
        f"Time and loss, projected and predicted: {shown} of {len(front)} points of the front. "
        f"With {', '.join(map(str, FEATURES))}",
        soft_wrap=True,
    )
    console.print(table)
    chosen = record["chosen"]
    console.print(
        f"{record['engines']:,} engines, {record['points']:,} points in "
        f"{record['search_s']:.1f} s. Chosen: engine {chosen['digest']}"
    )
    console.print(_line(chosen), soft_wrap=True)
    if own := record["own"]:
        share = chosen["projected"]["total_s"] / own["projected"]["total_s"]
        console.print(
            f"The engine of the board's file takes {own['projected']['total_s']:.4g} s, loses "
            f"{own['loss']:.4f} and has {own['modelled']['luts']:,} look-up tables; the chosen one "
            f"takes {share:.3f} of that time",
            soft_wrap=True,
        )
    if points := measured_points(record):
        # A point is a column, because the heads are long.
        table = Table(box=None, pad_edge=False, show_header=False)
        for row in zip(measured_heads(points), *measured_rows(points), strict=True):
            table.add_row(*row)
        for column in table.columns[1:]:
            column.justify = "right"
        console.print("Compressed and evaluated, prediction beside measurement:")
        console.print(table)
    if chosen["measured"]:
        console.print(f"The chosen model is in {chosen['measured']['folder']}", soft_wrap=True)
    if measured := record.get("measured"):
        for line in compared_lines(measured["table"]):
            console.print(line, soft_wrap=True)


def _cells(point: dict[str, Any]) -> list[str]:
    engine, projected = point["engine"], point["projected"]
    return [
        f"{projected['total_s']:.4g}",
        f"{projected['tokens_s']:.3g}" if projected["tokens_s"] else "",
        f"{point['loss']:.4f}",
        f"{point['perplexity_ratio']:.3f}",
        f"{point['bits_per_weight']:.2f}",
        f"{point['modelled']['luts']:,}",
        str(engine["rows"]),
        f"{engine['cols']} x {engine['depth']}",
        "".join(point["with"]),
    ]


def _line(point: dict[str, Any]) -> str:
    cycles, projected = point["cycles"], point["projected"]
    rate = f"{projected['tokens_s']:.3g} tokens/s" if projected["tokens_s"] else "no tokens written"
    return (
        f"{rate}, projected; {cycles['decode']:,} cycles a pass, {cycles['source']}; perplexity "
        f"{point['perplexity_ratio']:.3f} times the uncompressed model's, predicted; "
        f"{point['modelled']['luts']:,} look-up tables, modelled"
    )
