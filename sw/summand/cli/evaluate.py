"""``summand evaluate``: perplexity, and how far compression moved a model."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.consoles import open_console
from summand.cli.evaluate_tables import show_baselines, show_figures
from summand.cli.reports import figures_of, publish

if TYPE_CHECKING:
    from rich.console import Console

    from summand.compress import ModelSource, Text
    from summand.compress.evaluation.witness import Witness
    from summand.model import Manifest, SummandModel
    from summand.report import BaselineFigures, ModelFigures, TextFigures

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("evaluate")(_evaluate)


def _evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DIR",
            help="A Summand model, or what summand compress takes: smollm2, minilm, ...",
        ),
    ],
    text: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Text to read, as often as there are texts; without it, a part of Python's "
            "pydoc_data.topics that calibration does not see.",
        ),
    ] = None,
    other: Annotated[
        bool,
        typer.Option(
            "--other",
            help="Also read two texts of kinds that calibration does not see: the GNU General "
            "Public License, and short sentences of many kinds.",
        ),
    ] = False,
    tokens: Annotated[int, typer.Option(help="Tokens of each to read, at most.", min=2)] = 4096,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines",
            help="Also compress the source by published methods to as many bits, and evaluate "
            "that. Takes minutes; what is finished is kept in DIR/baselines.json.",
        ),
    ] = False,
    adapter: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="An adapter of the model, from summand adapt: it is evaluated with that, and "
            "compared with the uncompressed model and the adapter in floating point.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Text that the model was calibrated on, if one was given then."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the HTML report goes; report.html in the model's folder or the adapter's "
            "by default.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Measure perplexity; for a Summand model also the KL divergence from the uncompressed one.

    A Summand model's layers are computed with exactly the integers that an engine computes. Models
    that embed sentences are compared with the uncompressed one by their embeddings instead.
    """

    from summand.compress import (
        CompressError,
        evaluation_text,
        mixed_text,
        other_text,
        read_text,
    )
    from summand.compress.calibrate.text import rows_of

    if baselines and adapter:
        raise CompressError(
            "--baselines is about a model's own bits; leave out --baselines or --adapter"
        )
    texts = [read_text(path) for path in text or []] or [evaluation_text()]
    if other:
        texts += [other_text(), mixed_text()]
    errors = open_console(stderr=True)
    with errors.status(f"Loading {model}"):
        subject = _open(model, adapter)
    if subject.note:
        errors.print(f"summand: {subject.note}", soft_wrap=True)
    module, tokenizer, window = subject.module, subject.tokenizer, subject.window
    cut = [(body, rows_of(module, tokenizer, body, tokens=tokens, window=window)) for body in texts]
    found = [_read(model, subject, body, rows, errors) for body, rows in cut]
    beside = _baselines(subject, cut, Path(model), calibration, errors) if baselines else ()
    figures = subject.figures
    path = report or ((adapter or Path(model)) / "report.html" if figures else None)
    name = f"{model} with {adapter}" if adapter else model
    written = None
    texts_read = [figure for figure, _ in found]
    if figures and path:
        asked = report is not None
        written = publish(name, figures, path, asked=asked, texts=texts_read, baselines=beside)
    if as_json:
        record = _record(model, subject, found, beside, written)
        typer.echo(json.dumps(record | {"adapter": str(adapter) if adapter else None}))
        return
    console = open_console()
    show_figures(name, subject.bits_per_weight, figures, found, console)
    if beside:
        show_baselines(texts_read, beside, console)
    if subject.witness:
        of = "Uncompressed weights" if figures else "Weights"
        console.print(f"{of} {subject.witness.how}.", soft_wrap=True)
    if subject.missing:
        console.print(
            f"No KL divergence: {subject.missing}. Bring it back, or make model and adapter again "
            f"from their sources, to compare.",
            soft_wrap=True,
        )
    if written:
        console.print(written, soft_wrap=True)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Subject:
    """The model to evaluate and its reference; ``missing`` says why there is no reference.

    ``witness`` is the independent check of the uncompressed model, ``note`` a line for the user.
    """

    module: Any
    tokenizer: Any
    window: int
    manifest: "Manifest | None" = None
    source: "ModelSource | None" = None
    missing: str | None = None
    witness: "Witness | None" = None
    note: str | None = None

    @property
    def figures(self) -> "ModelFigures | None":
        """Figures of what a Summand model streams; None of an uncompressed model."""
        return figures_of(self.manifest) if self.manifest else None

    @property
    def bits_per_weight(self) -> float | None:
        """Bits of a Summand model, without padding."""
        if self.manifest is None:
            return None
        layers = self.manifest.layers
        return sum(e.bits for e in layers) / sum(e.weights for e in layers)


def _open(model: str, adapter: Path | None) -> _Subject:
    from summand.compress import CompressError, open_source
    from summand.compress.evaluation.evaluate import check_kind
    from summand.compress.evaluation.witness import check_reading
    from summand.model import SummandModel, is_model

    if is_model(Path(model)):
        return _open_compressed(SummandModel(Path(model)), adapter)
    if adapter:
        raise CompressError(
            f"--adapter goes with a Summand model, which {model} is not; summand compress makes one"
        )
    source = open_source(model)
    check_kind(source.module)
    return _Subject(
        module=source.module,
        tokenizer=source.tokenizer,
        window=source.window,
        witness=check_reading(source),
        note=source.note,
    )


def _open_compressed(model: "SummandModel", folder: Path | None) -> _Subject:
    from summand.compress import CompressError, load_integer, reopen, window_of
    from summand.compress.adapt.module import add_in_float
    from summand.compress.adapt.peft_folder import PeftFolder
    from summand.compress.evaluation.evaluate import check_kind
    from summand.compress.evaluation.witness import check_reading
    from summand.model.adapters import Adapter
    from summand.model.host import load_tokenizer

    adapter = Adapter(folder, model) if folder else None
    source: ModelSource | None = None
    missing = None
    try:
        source = reopen(model.manifest.source)
    except CompressError as e:
        missing = str(e)
    if source:
        check_kind(source.module)
    # Before the compressed model takes memory.
    witness = check_reading(source) if source else None
    if source and adapter:
        try:
            peft = PeftFolder.reopen(adapter.manifest.source)
            add_in_float(source.module, {name: peft.factors(name) for name in peft.shapes})
        except CompressError as e:
            source, missing = None, str(e)
    module, tokenizer = load_integer(model, adapter), load_tokenizer(model)
    check_kind(module)
    return _Subject(
        module=module,
        tokenizer=tokenizer,
        window=window_of(module),
        manifest=adapter.adapted if adapter else model.manifest,
        source=source,
        missing=missing,
        witness=witness,
        note=source.note if source else None,
    )


def _read(
    model: str, subject: _Subject, body: "Text", rows: list[Any], console: "Console"
) -> "tuple[TextFigures, float]":
    """Return the model's figures on a text, and the seconds that they took."""
    from rich.progress import Progress

    from summand.compress import CompressError
    from summand.compress.network.predictions import embeds
    from summand.report import read

    if subject.source is None and embeds(subject.module):
        why = subject.missing or "give the Summand model that was made from it"
        raise CompressError(
            f"{model} predicts no tokens and has nothing to be compared with: {why}"
        )
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("Reading", total=len(rows))
        return read(
            subject.module,
            body,
            rows,
            reference=subject.source.module if subject.source else None,
            progress=lambda done, _: bars.update(task, completed=done),
        )


def _baselines(
    subject: _Subject,
    texts: "Sequence[tuple[Text, list[Any]]]",
    folder: Path,
    calibration: Path | None,
    console: "Console",
) -> "tuple[BaselineFigures, ...]":
    from summand.cli.progress import heartbeat
    from summand.compress import CompressError, calibration_text, read_text
    from summand.compress.calibrate.text import rows_of
    from summand.compress.sources.sources import head_layers
    from summand.model import SummandModel
    from summand.model.host import split_like
    from summand.report import Baselines

    manifest, source = subject.manifest, subject.source
    if manifest is None:
        raise CompressError("--baselines goes with a Summand model, which says how many bits")
    if source is None:
        raise CompressError(f"--baselines needs the uncompressed model: {subject.missing}")
    known = manifest.options.get("calibration", {})
    body = read_text(calibration) if calibration else calibration_text()
    if body.sha256 != known.get("sha256"):
        raise CompressError(
            f"the model was calibrated on another text ({known.get('text')}); give it with "
            f"--calibration for the baselines"
        )
    split_like(source.module, SummandModel(folder, verify=False))
    batches = rows_of(
        source.module, source.tokenizer, body, tokens=known["tokens"], window=source.window
    )
    work = Baselines(
        source,
        manifest,
        heads=head_layers(source.module),
        batches=batches,
        texts=texts,
        cache=folder / "baselines.json",
    )
    with heartbeat(console) as tell:
        return tuple(work.results(tell))


def _record(
    model: str,
    subject: _Subject,
    found: "Sequence[tuple[TextFigures, float]]",
    baselines: "Sequence[BaselineFigures]",
    written: str | None,
) -> dict[str, Any]:
    """Return what ``--json`` prints; the first text's figures are also fields of their own."""
    figures = subject.figures
    record: dict[str, Any] = {"model": model, "bits_per_weight": subject.bits_per_weight}
    record |= dataclasses.asdict(found[0][0])
    record["seconds"] = sum(seconds for _, seconds in found)
    record |= figures.as_dict() if figures else {}
    record["no_reference"] = subject.missing
    record["reader_check"] = dataclasses.asdict(subject.witness) if subject.witness else None
    record["texts"] = [dataclasses.asdict(text) for text, _ in found]
    record["baselines"] = [dataclasses.asdict(b) for b in baselines]
    record["report"] = written
    return record
