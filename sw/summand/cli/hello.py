"""``summand hello``: whether a device is there, and computes."""

import json
import time
from typing import Annotated

import typer

from summand.cli.consoles import open_console
from summand.cli.devices import BoardOption, ConfigOption, DeviceChoice, DeviceOption
from summand.cli.verify import show

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("hello")(_hello)


def _hello(
    device: DeviceOption,
    config: ConfigOption = None,
    board: BoardOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask a device who it is, and compare a small random layer on it with the golden model.

    Needs no model and takes a second; a simulator is built first where there is none yet. Exits
    with status 0 if every bit is equal, with 1 if not, with 2 if the device does not answer or is
    another engine.
    """
    from summand.runtime.hello import say_hello

    target = DeviceChoice.choose(device, config, board)
    start = time.perf_counter()
    driver = target.open(open_console(stderr=True))
    opened = time.perf_counter()
    with driver:
        hello = say_hello(driver)
    result = hello.comparison
    if as_json:
        report = {
            "device": device,
            "identity": f"{hello.identity:#010x}",
            "version": hello.version,
            "digest": hello.digest,
            "round_trip_s": hello.round_trip_s,
            "exact": result.exact,
            "wrong": list(result.wrong),
            "tokens": result.usage.tokens,
            "macs": result.usage.macs,
            "stream_beats": result.usage.beats,
            "cycles": result.usage.counters.cycles or None,  # the golden model counts none
            "seconds": round(result.seconds, 3),
            "open_seconds": round(opened - start, 3),
        }
        typer.echo(json.dumps(report))
    else:
        typer.echo(
            f"{device}: identity {hello.identity:#010x}, stream version {hello.version}, engine "
            f"{hello.digest}, a register in {hello.round_trip_s * 1e3:.3g} ms"
        )
        show(result)
    if not result.exact:
        raise typer.Exit(1)
