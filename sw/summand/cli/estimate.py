"""``summand estimate``: an engine's resources and clock by the model, without any tool."""

import dataclasses
import json
from typing import Annotated

import typer

from summand.cli.engine import EngineBoardOption, EngineOption, choose_engine
from summand.families.cells import CELL_KINDS
from summand.families.registry import DEFAULT_FAMILY, FAMILIES, find_family
from summand.isa import SummandError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("estimate")(_estimate)


def _estimate(
    config: EngineOption = None,
    board: EngineBoardOption = None,
    family: Annotated[
        str | None,
        typer.Option(metavar="|".join(FAMILIES), help="The FPGA family, if no board is named."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what an engine takes of an FPGA by the model of resources, in no time.

    Modelled, not measured: 'summand synth' runs the tools. Exits with status 1 if it does not fit.
    """
    from summand.synth.estimate import estimate

    engine, on = choose_engine(config, board, "estimated")
    if on and family and on.family is not find_family(family):
        raise SummandError(f"{on.name} is no {find_family(family).title}: leave out --family")
    of = on.family if on else find_family(family) if family else DEFAULT_FAMILY
    found = estimate(engine, of)
    there = on.chip.part if on else None
    lacking = [kind.name for kind in found.lacking(there)] if there else []
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "source": "modelled",
                    "digest": engine.digest,
                    "config": dataclasses.asdict(engine),
                    "family": of.name,
                    "part": there.name if there else None,
                    "used": {kind.name: getattr(found, kind.name) for kind in CELL_KINDS},
                    "available": {k.name: getattr(there, k.name) for k in CELL_KINDS}
                    if there
                    else None,
                    "fmax_mhz": round(found.fmax_mhz, 1) if found.fmax_mhz else None,
                    "errors": {n: dataclasses.asdict(e) for n, e in found.errors.items()},
                    "lacking": lacking,
                }
            )
        )
    else:
        where = f"{on.chip} of {on.name}" if on else of.title
        typer.echo(f"engine {engine.digest} on {where}, by the model")
        for kind in CELL_KINDS:
            line = f"  {kind.title:15}{getattr(found, kind.name):11,}"
            if there:
                have = getattr(there, kind.name)
                line += f" of {have:9,}  {getattr(found, kind.name) / have:4.0%}"
            if error := found.errors.get(kind.name):
                line += f"   off by {error}"
            typer.echo(line)
        clock = f"{found.fmax_mhz:.0f} MHz" if found.fmax_mhz else "not modelled"
        typer.echo(f"  {'clock':15}{clock:>11}")
        for name in lacking:
            typer.echo(f"  it does not fit: too few {name.replace('_', ' ')}")
    if lacking:
        raise typer.Exit(1)
