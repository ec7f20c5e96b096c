"""``summand compress``: a language model in, a Summand model out."""

import dataclasses
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.arguments import CalibrationOption, CalibrationTokensOption
from summand.cli.compress_tables import (
    show_decompositions,
    show_distillation,
    show_results,
    show_support,
)
from summand.cli.consoles import open_console
from summand.cli.declared import expanded
from summand.cli.progress import part_bars
from summand.cli.reports import figures_of, publish
from summand.recipe.options import Options

if TYPE_CHECKING:
    from summand.compress.job.budget import BitBudget
    from summand.model import Manifest

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("compress")(expanded(_compress))


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
    options: Options,
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
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Configuration, by name or file, of the engine that a target is for: its padding "
            "counts, and its widths are taken where none are given.",
        ),
    ] = None,
    decompose_loss: Annotated[
        float | None,
        typer.Option(
            help="Also find what summand run --decompose computes prompts with: pseudo-tokens in "
            "the place of tokens, which lose so much at most, in nats a token."
        ),
    ] = None,
    decompose_steps: Annotated[
        int,
        typer.Option(
            help="Steps of block Lanczos iteration that find them, 1 to 16; one starts from "
            "directions of the calibration text and is best."
        ),
    ] = 1,
    calibration: CalibrationOption = None,
    calibration_tokens: CalibrationTokensOption = 8192,
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
    from summand.compress import Workers, calibration_text, open_source, plan, read_text
    from summand.compress.decompose import Wanted
    from summand.compress.job.allocated import allocated
    from summand.model import check_destination
    from summand.report.target import streamed_bits

    start = time.perf_counter()
    target = _target(target_bits, target_kl, sensitivity, engine)
    decompose = None
    if decompose_loss is not None:
        decompose = Wanted(loss=decompose_loss, steps=decompose_steps)
    team = Workers(executor, workers)
    check_destination(output)
    text = read_text(calibration) if calibration else calibration_text()
    console, progress = open_console(), open_console(stderr=True)
    with progress.status(f"Loading {model}"):
        source = open_source(model, lazy=target is None)
        if source.note:
            progress.print(f"summand: {source.note}", soft_wrap=True)
        job = plan(source, options, text, tokens=calibration_tokens)
    store = job.statistics(statistics) if statistics else None
    if store and store.note:
        progress.print(store.note)
    if target is not None:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        fixed = [name for name, s in sources.items() if s is not None and s.name != "DEFAULT"]
        with part_bars(("sensitivity", "calibrating", "estimating"), progress) as show:
            count = partial(streamed_bits, engine=target.engine)
            job = allocated(
                job, target, fixed, workers=team, statistics=store, count=count, progress=show
            )
    if not as_json:
        show_support(job, console)
    parts = ("calibrating", "compressing", "distilling", "decomposing")
    with part_bars(parts, progress) as show:
        manifest = job.run(
            output,
            workers=team,
            statistics=store,
            restart=force,
            decompose=decompose,
            progress=show,
            notice=lambda text: progress.print(f"summand: {text}"),
        )
    seconds = time.perf_counter() - start
    figures = figures_of(manifest)
    written = publish(output.name, figures, output / "report.html") if figures else None
    if as_json:
        record = _report(manifest, output, seconds) | (figures.as_dict() if figures else {})
        typer.echo(json.dumps(record))
        return
    show_results(manifest.layers, console)
    show_distillation(manifest.options, console)
    show_decompositions(manifest, console)
    if figures:
        console.print(
            f"{figures.streamed_bits_per_weight:.3f} bits a weight with everything that is "
            f"streamed, {figures.traffic.weights / 8e6:.2f} MB a token",
        )
    console.print(f"{output} written in {seconds:.0f} s")
    if written:
        console.print(written, soft_wrap=True)


def _target(
    bits: float | None, kl: float | None, sensitivity: str, engine: str | None
) -> "BitBudget | None":
    """Return the target that options ask for, if they do."""
    from summand.boards.configurations import find_configuration
    from summand.compress import CompressError
    from summand.compress.job.budget import BitBudget

    if bits is None and kl is None:
        if engine is not None:
            raise CompressError("--engine is for a target; give --target-bits or --target-kl too")
        return None
    config = find_configuration(engine).config if engine else None
    return BitBudget(bits=bits, kl=kl, sensitivity=sensitivity, engine=config)


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
        "distillation": manifest.options.get("distillation"),
        "layers": [e.to_raw() for e in layers],
        "groups": [list(group) for group in manifest.groups],
        "decompositions": [dataclasses.asdict(e) for e in manifest.decompositions],
        "host": [dataclasses.asdict(e) for e in manifest.host],
        "seconds": round(seconds, 2),
    }
