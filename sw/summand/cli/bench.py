"""``summand bench``: cycles and seconds of a model on engines, and projections for boards."""

import datetime
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.bench_tables import bench_notes, bench_tables
from summand.cli.consoles import open_console
from summand.cli.devices import LARGEST_SEED
from summand.cli.progress import step_bar
from summand.isa import SummandError

if TYPE_CHECKING:
    from summand.bench.suite import Outcome, Projected

__all__ = ["BenchError", "register"]


class BenchError(SummandError):
    """A report that cannot be written where it should go."""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("bench")(_bench)


def _bench(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A Summand model.")],
    config: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="An engine: one of Summand's, a board's name, or a JSON file. Give it several "
            "times to compare; without it smollm2, rows-4 and rows-8.",
        ),
    ] = None,
    modelled: Annotated[
        bool,
        typer.Option("--modelled", help="Ask the cost law only; seconds instead of minutes."),
    ] = False,
    stall: Annotated[
        float,
        typer.Option(help="Decode once more with this probability of withholding a beat."),
    ] = 0.0,
    tokens: Annotated[
        int, typer.Option(help="Tokens that the whole model writes to be timed.", min=0)
    ] = 3,
    prompts: Annotated[
        int,
        typer.Option(
            help="Write the texts of so many packaged prompts, with speculation and without, and "
            "count tokens a pass over the weights.",
            min=0,
        ),
    ] = 0,
    prompt_tokens: Annotated[
        int,
        typer.Option(
            help="Ask the cost law for a prompt of so many tokens, with the model's decompositions "
            "and without.",
            min=0,
        ),
    ] = 0,
    seed: Annotated[
        int, typer.Option(help="Of activations and stalls.", min=0, max=LARGEST_SEED)
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the JSON object there too."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the tables to an HTML page, too."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of tables.")
    ] = False,
) -> None:
    """Measure a model's layers and head on simulated engines, and compare with the cost law.

    Exits with status 1 if law and RTL differ, or if a configuration could not be measured.
    """
    from summand.bench import choose
    from summand.bench.environment import load_average, machine, versions
    from summand.bench.prompts import packaged_prompts
    from summand.bench.report import report
    from summand.bench.suite import Options, Suite
    from summand.model import SummandModel

    chosen = choose(config or ())
    options = Options(
        simulate=not modelled,
        tokens=tokens,
        prompts=prompts,
        stall=stall,
        prompt_tokens=prompt_tokens,
        seed=seed,
    )
    if prompts > (packaged := len(packaged_prompts())):
        raise BenchError(f"--prompts must be at most {packaged}, as many as there are")
    for place, option in ((output, "-o"), (page, "--report")):
        if place:
            _check_place(place, option)
    begun = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine() | {"load_before": load_average()},
        "versions": versions(),
    }
    source = SummandModel(model)
    with step_bar(open_console(stderr=True)) as progress:
        suite = Suite(source, options, progress)
        outcomes = [suite.run(named) for named in chosen]
        boards = suite.project_all()
    whole = begun | report(source, options, outcomes, boards)
    whole["machine"]["load_after"] = load_average()
    text = json.dumps(whole, indent=1) + "\n"
    if output:
        _write(output, text)
    if page:
        _publish(page, whole, outcomes, boards)
    if as_json:
        typer.echo(json.dumps(whole))
    else:
        _show(whole, outcomes, boards)
    if any(outcome.wrong for outcome in outcomes):
        raise typer.Exit(1)


def _check_place(path: Path, option: str) -> None:
    """Refuse a file that cannot be written, before the long work begins."""
    if path.is_dir():
        raise BenchError(f"{path} is a folder; {option} names a file")
    if not path.parent.is_dir():
        raise BenchError(f"{path.parent} is no folder; make it first")
    if not os.access(path.parent, os.W_OK):
        raise BenchError(f"cannot write into {path.parent}; choose another place for {option}")


def _write(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bench-") as folder:
            made = Path(folder) / path.name
            made.write_text(text, encoding="utf-8")
            made.replace(path)
    except OSError as e:
        raise BenchError(f"cannot write {path}: {e.strerror or e}") from None


def _show(
    whole: dict[str, Any], outcomes: "Sequence[Outcome]", boards: "Sequence[Projected]"
) -> None:
    console = open_console()
    model = whole["model"]
    console.print(
        f"{model['path']}: {model['weights'] / 1e6:.1f} M weights of "
        f"{model['bits_per_weight']:.2f} bits in {model['layers']} layers",
    )
    for table in bench_tables(whole, outcomes, boards):
        console.print(table)
    for name, why in bench_notes(outcomes, boards):
        console.print(f"{name}: {why}", soft_wrap=True)


def _publish(
    path: Path,
    whole: dict[str, Any],
    outcomes: "Sequence[Outcome]",
    boards: "Sequence[Projected]",
) -> None:
    """Write the page; raises :class:`~summand.report.ReportError` if it cannot be written."""
    from summand.cli.reports import made_by
    from summand.report.page import write_text
    from summand.report.tables import tables_page

    headline = []
    for outcome in outcomes:
        if outcome.phases:
            total, name = outcome.phases[0].total, outcome.named.name
            how = "modelled" if outcome.phases[0].measured is None else "measured, RTL"
            figure = f"{total.counters.cycles:,}"
            headline.append((figure, f"cycles of a pass that writes on {name}, {how}"))
    text = tables_page(
        f"{whole['model']['path']} on engines",
        headline,
        bench_tables(whole, outcomes, boards),
        (f"{name}: {why}" for name, why in bench_notes(outcomes, boards)),
        made_by(whole["date"]),
    )
    write_text(text, path)
