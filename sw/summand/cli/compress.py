"""``summand compress``: a language model in, a Summand model out."""

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from summand.cli.reports import figures_of, publish

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from summand.compress.compressor import Job
    from summand.compress.importers import Keeper
    from summand.compress.target import Target
    from summand.model import LayerEntry, Manifest

__all__ = ["register"]

_T = TypeVar("_T")


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("compress")(_compress)


def _compress(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="smollm2, minilm, a .gguf file, or a folder with a Hugging Face model.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where the Summand model goes; one that is there already is replaced.",
        ),
    ],
    bits: Annotated[
        int, typer.Option(help="Bits of a weight, 1 to 8; 0 for a low-rank summand alone.")
    ] = 4,
    group: Annotated[
        int,
        typer.Option(
            help="Input features that share an integer scale, a multiple of the engine's depth; "
            "0 for one scale an output."
        ),
    ] = 0,
    scale_bits: Annotated[
        int, typer.Option(help="Bits of these scales, 1 to 8: the engine's scale_bits.")
    ] = 6,
    solver: Annotated[
        str, typer.Option(help="Of the dense summand: gptq, or rtn to round to nearest.")
    ] = "gptq",
    rank: Annotated[
        int, typer.Option(help="Rank of the low-rank summand beside each layer; 0 for none.")
    ] = 0,
    rank_bits: Annotated[int, typer.Option(help="Bits of its factors, 1 to 8.")] = 4,
    rank_solver: Annotated[
        str,
        typer.Option(
            help="Of the low-rank summand: whitened, iterative, or without regard to the inputs "
            "svd, iterative-plain."
        ),
    ] = "whitened",
    rank_order: Annotated[
        str, typer.Option(help="When it is found: after the dense one, before, or alternating.")
    ] = "after",
    head_bits: Annotated[
        int, typer.Option(help="Bits of the output head's weights, 1 to 8; it gets no rank.")
    ] = 8,
    act_bits: Annotated[int, typer.Option(help="Bits of an activation, 4 to 10.")] = 8,
    acc_shift: Annotated[
        int,
        typer.Option(help="The engine's shift: extra accumulator bits for the low-rank summand."),
    ] = 4,
    acc_bits: Annotated[
        int, typer.Option(help="The engine's accumulator width, which nothing may overflow.")
    ] = 32,
    balance: Annotated[
        bool,
        typer.Option(
            "--balance/--no-balance", help="Let the host balance the channels of layers' inputs."
        ),
    ] = True,
    rotate: Annotated[
        bool, typer.Option("--rotate/--no-rotate", help="Let the host rotate layers' inputs.")
    ] = True,
    sequential: Annotated[
        bool,
        typer.Option(
            "--sequential",
            help="Compress layers in order, each on what the compressed ones before it feed it "
            "with; slower.",
        ),
    ] = False,
    keep_quantised: Annotated[
        bool,
        typer.Option(
            "--keep-quantised",
            help="Take layers that MODEL has quantised already as they are, where the format can "
            "hold them; the other options are for the rest.",
        ),
    ] = False,
    target_bits: Annotated[
        float | None,
        typer.Option(
            help="Streamed bits a weight at most, everything counted: bits, groups and ranks are "
            "chosen for each layer, but for those given here."
        ),
    ] = None,
    target_kl: Annotated[
        float | None,
        typer.Option(
            help="The same for as few bits as an estimated KL divergence allows, in nats a token."
        ),
    ] = None,
    sensitivity: Annotated[
        str,
        typer.Option(
            help="How a layer's cost is estimated for a target: fisher (gradients), or differences "
            "(a run of the model for each layer)."
        ),
    ] = "fisher",
    engine: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Configuration of an engine whose padding a target counts."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Text to calibrate on; without it, text that comes with Python."
        ),
    ] = None,
    calibration_tokens: Annotated[
        int, typer.Option(help="Tokens of it to read, at most.", min=2)
    ] = 8192,
    statistics: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep what calibration collects here; it is used again for the same model and "
            "text.",
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            help="Where layers are compressed: threads, loky for processes, dask or ray for the "
            "cluster that DASK_SCHEDULER_ADDRESS or RAY_ADDRESS names."
        ),
    ] = "threads",
    workers: Annotated[
        int | None,
        typer.Option(help="Threads or processes; as many as there are cores by default.", min=1),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Begin anew, whatever an interrupted compression to DIR has left."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of tables.")
    ] = False,
) -> None:
    """Compress the linear layers of a language model.

    A compression that was interrupted goes on where it was when the same command is given again.
    """
    from rich.console import Console

    from summand.compress import Options, Workers, calibration_text, open_source, plan, read_text
    from summand.model import check_destination

    start = time.perf_counter()
    options = Options(
        bits=bits,
        group=group,
        scale_bits=scale_bits,
        solver=solver,
        balance=balance,
        rotate=rotate,
        sequential=sequential,
        keep_quantised=keep_quantised,
        rank=rank,
        rank_bits=rank_bits,
        rank_solver=rank_solver,
        rank_order=rank_order,
        head_bits=head_bits,
        act_bits=act_bits,
        acc_shift=acc_shift,
        acc_bits=acc_bits,
    )
    target = _target(target_bits, target_kl, sensitivity, engine)
    team = Workers(executor, workers)
    check_destination(output)
    text = read_text(calibration) if calibration else calibration_text()
    console, progress = Console(), Console(stderr=True)
    with progress.status(f"Loading {model}"):
        source = open_source(model, lazy=target is None)
        job = plan(source, options, text, tokens=calibration_tokens)
    if target is not None:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        fixed = [name for name, s in sources.items() if s is not None and s.name != "DEFAULT"]
        with _bars(("calibrating", "sensitivity", "estimating"), progress) as show:
            job = job.allocated(target, fixed, progress=show)
    store = job.statistics(statistics) if statistics else None
    if store and store.note:
        progress.print(store.note, highlight=False)
    if not as_json:
        _show_support(job, console)
    with _bars(("calibrating", "compressing"), progress) as show:
        manifest = job.run(
            output,
            workers=team,
            statistics=store,
            restart=force,
            progress=show,
            notice=lambda text: progress.print(f"summand: {text}", highlight=False),
        )
    seconds = time.perf_counter() - start
    figures = figures_of(manifest)
    written = publish(output.name, figures, output / "report.html") if figures else None
    if as_json:
        record = _report(manifest, output, seconds) | (figures.as_dict() if figures else {})
        typer.echo(json.dumps(record))
        return
    _show_results(manifest.layers, console)
    if figures:
        console.print(
            f"{figures.streamed_bits_per_weight:.3f} bits a weight with everything that is "
            f"streamed, {figures.traffic.weights / 1e6:.2f} MB a token",
            highlight=False,
        )
    console.print(f"{output} written in {seconds:.0f} s", highlight=False)
    if written:
        console.print(written, highlight=False, soft_wrap=True)


def _target(
    bits: float | None, kl: float | None, sensitivity: str, engine: Path | None
) -> "Target | None":
    """Return the target that options ask for, if they do."""
    from summand.compress import CompressError
    from summand.compress.target import Target
    from summand.isa import EngineConfig

    if bits is None and kl is None:
        if engine is not None:
            raise CompressError("--engine is for a target; give --target-bits or --target-kl too")
        return None
    config = EngineConfig.load(engine) if engine else None
    return Target(bits=bits, kl=kl, sensitivity=sensitivity, engine=config)


@contextmanager
def _bars(parts: Iterable[str], console: Any) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar for each part; yields what moves them."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, TaskProgressColumn(), TimeElapsedColumn(), console=console) as bars:
        tasks = {what: bars.add_task(what.capitalize()) for what in parts}

        def show(what: str, done: int, total: int) -> None:
            bars.update(tasks[what], completed=done, total=total)

        yield show


def _by_kind(items: Iterable[_T], name: Any) -> Mapping[str, list[_T]]:
    """Collect items whose names differ in numbers only, under the name with stars for these."""
    kinds: dict[str, list[_T]] = {}
    for item in items:
        kinds.setdefault(re.sub(r"(?<![^.])\d+(?![^.])", "*", name(item)), []).append(item)
    return kinds


def _show_support(job: "Job", console: "Console") -> None:
    """Print what becomes of every module that has parameters."""
    table = _table("To be compressed")
    table.add_column("layers", overflow="fold")
    for title in ("count", "shape", "bits", "group", "of bits", "rank", "of bits"):
        table.add_column(title, justify="right", no_wrap=True)
    kept = job.keeper.kinds if job.keeper else {}
    for kind, names in _by_kind((n for n in job.survey.layers if n not in kept), str).items():
        linear = job.source.module.get_submodule(names[0])
        choices = [job.choices[name] for name in names]
        grouped, ranked = [c for c in choices if c.group], [c for c in choices if c.rank]
        table.add_row(
            kind,
            str(len(names)),
            f"{linear.in_features} x {linear.out_features}",
            _span(c.bits for c in choices),
            _span(c.group for c in (choices if grouped else ())),
            _span(c.scale_bits for c in grouped),
            _span(c.rank for c in (choices if ranked else ())),
            _span(c.rank_bits for c in ranked),
        )
    if table.row_count:
        console.print(table)
    if job.keeper:
        _show_kept(job.keeper, console)
    host = _table("To stay on the host")
    host.add_column("module", overflow="fold")
    host.add_column("count", justify="right", no_wrap=True)
    host.add_column("kind", no_wrap=True)
    host.add_column("because")
    for kind, entries in _by_kind(job.survey.host, lambda e: e.name).items():
        host.add_row(kind, str(len(entries)), entries[0].kind, entries[0].reason)
    console.print(host)


def _span(values: Iterable[int]) -> str:
    """Write a number, or the least and the largest."""
    found = sorted(set(values))
    return f"{found[0]}-{found[-1]}" if len(found) > 1 else "".join(map(str, found))


def _show_kept(keeper: "Keeper", console: "Console") -> None:
    """Print which layers are taken over, and why others are not."""
    table = _table(f"Quantised by {keeper.checkpoint.format}")
    table.add_column("layers", overflow="fold")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("taken over as", no_wrap=True)
    table.add_column("or compressed anew because")
    for kind, names in _by_kind(keeper.kinds, str).items():
        table.add_row(kind, str(len(names)), " or ".join(sorted({keeper.kinds[n] for n in names})))
    for kind, names in _by_kind(keeper.reasons, str).items():
        reasons = "; ".join(sorted({keeper.reasons[n] for n in names}))
        table.add_row(kind, str(len(names)), "", reasons)
    console.print(table)


def _show_results(layers: "tuple[LayerEntry, ...]", console: "Console") -> None:
    """Print bits per weight, megabytes streamed for a token, and errors."""
    table = _table("Compressed", show_footer=True)
    total, bits = sum(e.weights for e in layers), sum(e.bits for e in layers)
    table.add_column("layers", f"all {len(layers)}", overflow="fold")
    for title, footer in (
        ("weights", f"{total / 1e6:.1f} M"),
        ("bits each", f"{bits / total:.3f}"),
        ("streamed", f"{bits / 8e6:.2f} MB"),
        ("error", ""),
    ):
        table.add_column(title, footer, justify="right", no_wrap=True)
    for kind, entries in _by_kind(layers, lambda e: e.name).items():
        weights, bits = sum(e.weights for e in entries), sum(e.bits for e in entries)
        table.add_row(
            kind,
            f"{weights / 1e6:.1f} M",
            f"{bits / weights:.3f}",
            f"{bits / 8e6:.2f} MB",
            _error(entries),
        )
    console.print(table)


def _table(title: str, *, show_footer: bool = False) -> "Table":
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_footer=show_footer)


def _error(entries: "list[LayerEntry]") -> str:
    known = [e.error for e in entries if e.error is not None]
    return f"{100 * (sum(e * e for e in known) / len(known)) ** 0.5:.2f}%" if known else ""


def _report(manifest: "Manifest", output: Path, seconds: float) -> dict[str, Any]:
    layers = manifest.layers
    weights, bits = sum(e.weights for e in layers), sum(e.bits for e in layers)
    return {
        "output": str(output),
        "options": dict(manifest.options),
        "weights": weights,
        "streamed_bits": bits,
        "bits_per_weight": bits / weights,
        "acc_bits": max(e.acc_bits for e in layers),
        "layers": [dataclasses.asdict(e) for e in layers],
        "groups": [list(group) for group in manifest.groups],
        "host": [dataclasses.asdict(e) for e in manifest.host],
        "seconds": round(seconds, 2),
    }
