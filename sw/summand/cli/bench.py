"""``summand bench``: cycles and seconds of a model on engines, and projections for boards."""

import contextlib
import datetime
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.consoles import open_console
from summand.cli.devices import LARGEST_SEED
from summand.cli.progress import heartbeat
from summand.isa import SummandError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from summand.bench.suite import Outcome, Phase, Projected

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
    with _progress(open_console(stderr=True)) as progress:
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


@contextlib.contextmanager
def _progress(console: "Console") -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that shows the present step: a bar, or in a log a line a minute."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if not console.is_terminal:
        with heartbeat(console) as tell:
            yield lambda what, done, total: tell(f"{what}: {done} of {total}")
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("Opening the model", total=None)

        def show(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total)

        yield show


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
    for table in _tables(whole, outcomes, boards):
        console.print(table)
    for name, why in _notes(outcomes, boards):
        console.print(f"{name}: {why}", soft_wrap=True)


def _tables(
    whole: dict[str, Any], outcomes: "Sequence[Outcome]", boards: "Sequence[Projected]"
) -> "Iterator[Table]":
    """Yield the tables of what was measured and projected."""
    if any(outcome.phases for outcome in outcomes):
        yield _cycle_table(outcomes)
        yield _wait_table(outcomes)
    if any(outcome.written for outcome in outcomes):
        yield _time_table(outcomes)
    if any(outcome.stalled for outcome in outcomes):
        yield _stall_table(outcomes)
    if any(outcome.speculated for outcome in outcomes):
        yield _speculation_table(whole["configurations"])
    if any(outcome.prompt for outcome in outcomes):
        yield _prompt_table(outcomes)
    if whole["comparison"]:
        yield _comparison_table(whole["comparison"])
    yield _board_table(boards)


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
        _tables(whole, outcomes, boards),
        (f"{name}: {why}" for name, why in _notes(outcomes, boards)),
        made_by(whole["date"]),
    )
    write_text(text, path)


def _table(title: str, *columns: str, left: Sequence[str] = ()) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("engine", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    return table


def _prompt_table(outcomes: "Sequence[Outcome]") -> "Table":
    tokens = next(outcome.prompt.tokens for outcome in outcomes if outcome.prompt)
    table = _table(
        f"A prompt of {tokens} tokens with decompositions, by the cost law",
        *("cycles", "of those\nwithout", "where layers\nare decomposed", "by part"),
        left=("by part",),
    )
    for outcome in outcomes:
        if (cost := outcome.prompt) is None:
            continue
        table.add_row(
            outcome.named.name,
            f"{cost.cycles:,}",
            f"{cost.share:.1%}",
            f"{sum(cost.shares.values()):.1%}",
            ", ".join(f"{name} {share:.1%}" for name, share in cost.shares.items()),
        )
    return table


def _cycle_table(outcomes: "Sequence[Outcome]") -> "Table":
    table = _table(
        "Cycles of all layers and head",
        *("phase", "cycles", "stream\nbeats", "of the\nlimit"),
        *("MACs a\ncycle", "kB\nback", "source"),
        left=("phase", "source"),
    )
    for outcome in outcomes:
        for phase in outcome.phases:
            for source, usage in _sources(phase):
                table.add_row(
                    outcome.named.name,
                    f"{phase.name} {phase.tokens}",
                    f"{usage.counters.cycles:,}",
                    f"{usage.beats:,}",
                    f"{usage.stream_share:.1%}",
                    f"{usage.macs_per_cycle:.1f}",
                    f"{usage.answer_bytes / 1000:,.0f}",
                    source,
                )
    return table


def _wait_table(outcomes: "Sequence[Outcome]") -> "Table":
    from summand.bench import waits

    table = _table(
        "What the cycles without plane words go to", "phase", "causes", left=("phase", "causes")
    )
    for outcome in outcomes:
        for phase in outcome.phases:
            label = f"{phase.name} {phase.tokens}"
            table.add_row(outcome.named.name, label, waits(phase.total.counters))
    return table


def _sources(phase: "Phase") -> list[tuple[str, Any]]:
    """Return the lines that show a phase: one line where law and RTL agree, else both."""
    if phase.measured is None:
        return [("by the law", phase.modelled_total)]
    if phase.equal:
        return [("measured = law", phase.total)]
    return [("measured", phase.total), ("law: DIFFERENT", phase.modelled_total)]


def _time_table(outcomes: "Sequence[Outcome]") -> "Table":
    from summand.bench.report import token_seconds

    table = _table(
        "Native simulator, measured", "cycles\na second", "seconds\na token", "of these\nthe host's"
    )
    for outcome in outcomes:
        if outcome.written and (run := outcome.phases[0].measured):
            table.add_row(
                outcome.named.name,
                f"{run.cycles_per_second:,.0f}",
                f"{token_seconds(outcome.written):.2f}",
                f"{outcome.written.host_share:.0%}",
            )
    return table


def _stall_table(outcomes: "Sequence[Outcome]") -> "Table":
    table = _table(
        "Decode with stalls, measured",
        *("probability", "cycles", "withheld", "extra", "law, given\nthe stalls"),
    )
    for outcome in outcomes:
        if (stalled := outcome.stalled) and outcome.extra_share is not None:
            table.add_row(
                outcome.named.name,
                f"{stalled.stall:g}",
                f"{stalled.run.total.counters.cycles:,}",
                f"{stalled.withheld:,}",
                f"{outcome.extra_share:+.3%}",
                "equal" if stalled.law_equal else "DIFFERENT",
            )
    return table


def _speculation_table(configurations: Sequence[dict[str, Any]]) -> "Table":
    table = _table(
        "Speculation: tokens counted on the golden model, cycles by the law",
        *("texts", "tokens", "tokens\na pass", "cycles\na token", "tokens/s per\nGB/s, projected"),
        "seconds\nover plain",
        left=("texts",),
    )
    for configuration in configurations:
        for part in (configuration["speculated"] or {}).get("parts", ()):
            table.add_row(
                configuration["name"],
                f"{part['count']} {part['texts']}",
                f"{part['tokens']:,}",
                f"{part['tokens_per_pass']:.2f}",
                f"{part['cycles_per_token']:,.0f}",
                f"{part['tokens_s_per_gb_s']:.2f}",
                f"{part['seconds_over_plain']:.2f}",
            )
    return table


def _comparison_table(rows: Sequence[dict[str, Any]]) -> "Table":
    table = _table(
        f"Relative to {rows[0]['relative_to']}",
        *("decode\ncycles", "prefill cycles\na token", "simulator's\ncycles a second"),
        "seconds\na token",
    )
    for row in rows:
        figures = (row[what] for what in ("decode", "prefill", "cycles_per_second", "seconds"))
        table.add_row(row["name"], *("-" if f is None else f"{f:.3f}" for f in figures))
    return table


def _board_table(boards: "Sequence[Projected]") -> "Table":
    table = _table(
        "Decoding on boards that hold the weights, projected",
        *("memory\nGB/s", "link\nMB/s", "tokens/s\nby memory", "by\nclock", "by\nlink"),
        *("tokens/s", "bound\nby"),
    )
    for projected in boards:
        if found := projected.projection:
            table.add_row(
                found.board,
                f"{found.memory_bytes_s / 1e9:.3f}",
                f"{found.link_bytes_s / 1e6:.3g}",
                f"{found.by_memory:.2f}",
                f"{found.by_clock:.2f}",
                f"{found.by_link:.3g}",
                f"{found.tokens_s:.3g}",
                found.limit,
            )
    return table


def _notes(
    outcomes: "Sequence[Outcome]", boards: "Sequence[Projected]"
) -> Iterator[tuple[str, str]]:
    from summand.bench import tokens_per_gb

    for outcome in outcomes:
        if outcome.error:
            yield outcome.named.name, f"not measured: {outcome.error}"
            continue
        stream_bits = outcome.named.config.stream_bits
        per_gb = tokens_per_gb(outcome.phases[0].total, stream_bits)
        yield outcome.named.name, f"{per_gb:.2f} tokens/s per GB/s of stream, projected"
        if outcome.untimed:
            yield outcome.named.name, f"no tokens timed: {outcome.untimed}"
        if outcome.unspeculated:
            yield outcome.named.name, f"no prompts written: {outcome.unspeculated}"
        if outcome.undecomposed:
            yield outcome.named.name, f"no prompt with decompositions: {outcome.undecomposed}"
        for text in outcome.speculated.texts if outcome.speculated else ():
            if not text.equal:
                yield outcome.named.name, f"{text.prompt.name}: speculation CHANGED its text"
    for projected in boards:
        if projected.error:
            yield projected.board.name, f"not projected: {projected.error}"
        elif projected.projection and not projected.projection.fits:
            held = projected.board.memory.bytes / 1e6
            needed = projected.projection.token_bytes / 1e6
            yield (
                projected.board.name,
                f"its memory of {held:.0f} MB does not hold the {needed:.0f} MB of weights",
            )
