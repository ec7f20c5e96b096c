"""``summand compress``: a language model in, a Summand model out."""

import dataclasses
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.compress_tables import show_distillation, show_results, show_support
from summand.cli.consoles import open_console
from summand.cli.progress import part_bars
from summand.cli.reports import figures_of, publish

if TYPE_CHECKING:
    from summand.compress.job.target import Target
    from summand.model import Manifest

__all__ = ["register"]


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
    distil: Annotated[
        int,
        typer.Option(
            metavar="STEPS",
            help="Steps of distillation behind it, 256 tokens of the calibration text each: MODEL "
            "teaches the compressed layers' scales and biases; 0 for none.",
        ),
    ] = 0,
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
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Configuration, by name or file, of the engine that a target is for: its padding "
            "counts, and its widths are taken where none are given.",
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
    from summand.compress import Options, Workers, calibration_text, open_source, plan, read_text
    from summand.model import check_destination
    from summand.report.target import streamed_bits

    start = time.perf_counter()
    options = Options(
        bits=bits,
        group=group,
        scale_bits=scale_bits,
        solver=solver,
        balance=balance,
        rotate=rotate,
        sequential=sequential,
        distil=distil,
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
    console, progress = open_console(), open_console(stderr=True)
    with progress.status(f"Loading {model}"):
        source = open_source(model, lazy=target is None)
        if source.note:
            progress.print(f"summand: {source.note}", soft_wrap=True)
        job = plan(source, options, text, tokens=calibration_tokens, split_head=target is not None)
    store = job.statistics(statistics) if statistics else None
    if store and store.note:
        progress.print(store.note)
    if target is not None:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        fixed = [name for name, s in sources.items() if s is not None and s.name != "DEFAULT"]
        with part_bars(("calibrating", "sensitivity", "estimating"), progress) as show:
            count = partial(streamed_bits, job.source.module, job.survey, engine=target.engine)
            job = job.allocated(
                target, fixed, workers=team, statistics=store, count=count, progress=show
            )
    if not as_json:
        show_support(job, console)
    with part_bars(("calibrating", "compressing", "distilling"), progress) as show:
        manifest = job.run(
            output,
            workers=team,
            statistics=store,
            restart=force,
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
) -> "Target | None":
    """Return the target that options ask for, if they do."""
    from summand.boards.configurations import find_configuration
    from summand.compress import CompressError
    from summand.compress.job.target import Target

    if bits is None and kl is None:
        if engine is not None:
            raise CompressError("--engine is for a target; give --target-bits or --target-kl too")
        return None
    config = find_configuration(engine).config if engine else None
    return Target(bits=bits, kl=kl, sensitivity=sensitivity, engine=config)


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
        "host": [dataclasses.asdict(e) for e in manifest.host],
        "seconds": round(seconds, 2),
    }
