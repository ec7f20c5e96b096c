"""``summand evaluate``: perplexity, and how far compression moved a model."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from summand.compress import Evaluation, Source
    from summand.model import SummandModel

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("evaluate")(_evaluate)


def _evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DIR",
            help="A Summand model, or what summand compress takes: smollm2, a .gguf, a folder.",
        ),
    ],
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text to read; without it, a part of Python's pydoc_data.topics that "
            "calibration does not see.",
        ),
    ] = None,
    tokens: Annotated[int, typer.Option(help="Tokens of it to read, at most.", min=2)] = 4096,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Measure perplexity; for a Summand model also the KL divergence from the uncompressed one.

    A Summand model's layers are computed with exactly the integers that an engine computes.
    """
    from rich.console import Console
    from rich.progress import Progress

    from summand.compress import evaluate, evaluation_text, read_text, windows

    body = read_text(text) if text else evaluation_text()
    console = Console(stderr=True)
    with console.status(f"Loading {model}"):
        subject = _open(model)
    rows = windows(subject.tokenizer, body, tokens=tokens, window=subject.window)
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("Reading", total=len(rows))
        result = evaluate(
            subject.module,
            rows,
            reference=subject.reference,
            progress=lambda done, _: bars.update(task, completed=done),
        )
    if as_json:
        report = {"model": model, "text": body.origin, "text_sha256": body.sha256}
        report |= {"bits_per_weight": subject.bits_per_weight, "no_reference": subject.missing}
        typer.echo(json.dumps(report | dataclasses.asdict(result)))
        return
    _show(model, body.origin, subject, result)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Subject:
    """What is evaluated, and against what; ``missing`` says why there is no reference."""

    module: Any
    tokenizer: Any
    window: int
    bits_per_weight: float | None = None
    reference: Any = None
    missing: str | None = None


def _open(model: str) -> _Subject:
    from summand.compress import open_source
    from summand.model import SummandModel, is_model

    if is_model(Path(model)):
        return _open_compressed(SummandModel(Path(model)))
    source = open_source(model)
    return _Subject(module=source.module, tokenizer=source.tokenizer, window=source.window)


def _open_compressed(model: "SummandModel") -> _Subject:
    from summand.compress import CompressError, load_integer, reopen, window_of
    from summand.model.host import load_tokenizer

    module, tokenizer = load_integer(model), load_tokenizer(model)
    source: Source | None = None
    missing = None
    try:
        source = reopen(model.manifest.source)
    except CompressError as e:
        missing = str(e)
    layers = model.manifest.layers
    return _Subject(
        module=module,
        tokenizer=tokenizer,
        window=window_of(module),
        bits_per_weight=sum(e.bits for e in layers) / sum(e.weights for e in layers),
        reference=source.module if source else None,
        missing=missing,
    )


def _show(model: str, origin: str, subject: _Subject, result: "Evaluation") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=model, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("text", origin)
    table.add_row("tokens predicted", f"{result.tokens:,}")
    if subject.bits_per_weight is not None:
        table.add_row("bits per weight", f"{subject.bits_per_weight:.3f}")
    table.add_row("perplexity", f"{result.perplexity:.3f}")
    if result.reference_perplexity is not None:
        table.add_row("perplexity, uncompressed", f"{result.reference_perplexity:.3f}")
        table.add_row("KL divergence from it", f"{result.kl_divergence:.4f} nats/token")
        table.add_row("same likeliest token", f"{100 * (result.top1_agreement or 0):.1f} %")
    table.add_row("seconds", f"{result.seconds:.1f}")
    console = Console()
    console.print(table)
    if subject.missing:
        console.print(
            f"No KL divergence: {subject.missing}. Compress the model again from its source to "
            f"compare.",
            highlight=False,
        )
