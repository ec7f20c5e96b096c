"""``summand adapt``: a LoRA adapter in, summands beside a model's out."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.consoles import open_console
from summand.cli.declared import expanded
from summand.cli.progress import part_bars
from summand.recipe.adapting import AdaptOptions

if TYPE_CHECKING:
    from summand.model import SummandModel
    from summand.model.adapters import Adapter, AdapterManifest

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("adapt")(expanded(_adapt))


def _adapt(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A Summand model; it stays as it is.")
    ],
    adapter: Annotated[
        Path,
        typer.Option(metavar="PEFT", help="The folder of a LoRA adapter of it, as PEFT writes it."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Where the summands go; an adapter that is there already is replaced.",
        ),
    ],
    options: AdaptOptions,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text to calibrate on; without it, that of the model, if it is "
            "the one that comes with Python.",
        ),
    ] = None,
    calibration_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens of it to read, at most; as many as for the model.", min=2),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Make a LoRA adapter low-rank summands beside a compressed model's own.

    What cannot be expressed, or is of another model, is refused before any work is done.
    """
    from summand.compress import read_text
    from summand.compress.adapt import AdaptJob, PeftFolder
    from summand.model import SummandModel
    from summand.model.adapters import Adapter, check_adapter_destination

    start = time.perf_counter()
    check_adapter_destination(output)
    progress = open_console(stderr=True)
    with progress.status(f"Reading {folder}"):
        base = SummandModel(folder)
        job = AdaptJob.plan(base, PeftFolder(adapter), options)
        text = job.text(read_text(calibration) if calibration else None)
    with part_bars(("calibrating", "rounding"), progress) as show:
        job.run(output, text, tokens=calibration_tokens, progress=show)
    made = Adapter(output, base)
    record = _record(made, output, time.perf_counter() - start)
    if as_json:
        typer.echo(json.dumps(record))
        return
    console = open_console()
    console.print(_table(made.manifest, base))
    added = record["streamed_bits"]
    console.print(
        f"{added / 8e6:.2f} MB a token beside the model's {record['base_bits'] / 8e6:.2f}, in "
        f"{len(made.names)} layers; {output} written in {record['seconds']:.0f} s"
    )


def _record(made: "Adapter", output: Path, seconds: float) -> dict[str, Any]:
    base = sum(entry.bits for entry in made.base.manifest.layers)
    adapted = sum(entry.bits for entry in made.adapted.layers)
    return {
        "output": str(output),
        "base": made.manifest.base,
        "source": dict(made.manifest.source),
        "options": dict(made.manifest.options),
        "base_bits": base,
        "streamed_bits": adapted - base,
        "acc_bits": max(addition.acc_bits for addition in made.manifest.layers),
        "layers": [addition.to_raw() for addition in made.manifest.layers],
        "seconds": round(seconds, 2),
    }


def _table(manifest: "AdapterManifest", base: "SummandModel") -> Any:
    from rich import box
    from rich.table import Table

    from summand.runtime.program import role_of

    table = Table(title="Added", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("layers", overflow="fold")
    for title in ("count", "shape", "as", "acc_shift", "error"):
        table.add_column(title, justify="right", no_wrap=True)
    rows: dict[tuple[str, ...], list[float]] = {}
    for addition in manifest.layers:
        entry = base.entry(addition.name)
        shape = f"{entry.in_features} x {entry.out_features}"
        summand = addition.summand
        kind = (role_of(addition.name), shape, summand.label(), str(summand.acc_shift))
        rows.setdefault(kind, []).append(addition.error or 0.0)
    for (role, shape, label, shift), errors in rows.items():
        table.add_row(role, str(len(errors)), shape, label, shift, _percent(errors))
    return table


def _percent(errors: list[float]) -> str:
    """Return the root mean square of relative errors."""
    return f"{100 * (sum(e * e for e in errors) / len(errors)) ** 0.5:.2f}%"
