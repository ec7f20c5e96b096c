"""``summand run``: writes text with a compressed model on a device."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.consoles import open_console
from summand.cli.devices import (
    LARGEST_SEED,
    BoardOption,
    ConfigOption,
    DeviceChoice,
    DeviceOption,
    MemoryOption,
)
from summand.cli.speculating import (
    DraftTableOption,
    SpeculateOption,
    SpeculationChoice,
    speculation_figures,
)
from summand.isa import SummandError

if TYPE_CHECKING:
    from summand.decoding import Writer
    from summand.model import SummandModel
    from summand.model.adapters import Adapter
    from summand.runtime import Driver
    from summand.runtime.load import LoadedModel

__all__ = ["register"]

#: Range of temperatures: float32 cannot divide by a lower one; with a higher one, all tokens are
#: equally likely.
_TEMPERATURES = (1e-4, 1e4)


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("run")(_run)


def _run(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A Summand model.")],
    prompt: Annotated[str, typer.Option(help="The text to go on from.")],
    adapter: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="An adapter of the model, from summand adapt."),
    ] = None,
    decompose: Annotated[
        bool,
        typer.Option(
            "--decompose",
            help="Read the prompt by way of pseudo-tokens, approximately; for a model that was "
            "compressed with --decompose-loss, and an engine with an operand memory.",
        ),
    ] = False,
    device: DeviceOption = "golden",
    config: ConfigOption = None,
    board: BoardOption = None,
    memory: MemoryOption = 0,
    tokens: Annotated[int, typer.Option(help="The most tokens to write.", min=1)] = 32,
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the prompt into the model's chat template.")
    ] = False,
    temperature: Annotated[
        float, typer.Option(help="0 takes the likeliest token, 0.0001 to 10000 takes chances.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the chances.", min=0, max=LARGEST_SEED)] = 0,
    speculate: SpeculateOption = "auto",
    draft_table: DraftTableOption = None,
    logits: Annotated[
        bool,
        typer.Option(
            "--logits",
            help="Fetch all logits, also where fewer tell the likeliest token (an engine's bins).",
        ),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show what each kind of layer costs.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the text.")
    ] = False,
) -> None:
    """Write text with every compressed layer computed by a device.

    The text goes to standard output as it is written, figures follow on standard error.
    """
    from summand.decoding import Sampling, Writer, encode_prompt
    from summand.model import SummandModel
    from summand.model.adapters import Adapter
    from summand.runtime.load import load_writer

    _check(prompt, temperature)
    if decompose and adapter:
        raise SummandError(
            "decompositions are of the model without adapters; leave out --decompose or --adapter"
        )
    errors = open_console(stderr=True)
    source = SummandModel(folder)
    added = Adapter(adapter, source) if adapter else None
    whole = added.adapted if added else source.manifest
    target = DeviceChoice.choose(device, config, board, whole, memory=memory, operand=decompose)
    choice = SpeculationChoice.choose(speculate, draft_table, target.engine)
    few = not (logits or temperature)  # logits that are fetched
    if target.note:
        errors.print(target.note, soft_wrap=True)
    host = load_writer(source)  # before a device is opened, which may take minutes
    with target.open(errors) as driver:
        if not driver.holds and (pace := target.pace(whole)):
            errors.print(pace)
        loaded = _load(source, added, host, driver, errors)
        if driver.holds:
            programs = (g.least_program if few else g.program for g in loaded.groups)
            pace = target.held_pace(programs)
            errors.print(pace, soft_wrap=True)
        ids = encode_prompt(loaded.model, loaded.tokenizer, prompt, tokens=tokens, chat=chat)
        decomposed = _decomposed(loaded, driver, len(ids), errors) if decompose else None
        with choice.speculation(loaded, target, few=few) as speculation:
            writer = Writer(
                loaded.model,
                loaded.lanes,
                sampling=Sampling(temperature, seed),
                speculation=speculation,
                head=loaded.head if few else None,
            )
            report = _write(loaded, driver, writer, ids, tokens=tokens, quiet=as_json)
        if speculation and writer.why_plain:
            errors.print(f"One token a pass: {writer.why_plain}")
        rows = _profile(driver) if profile or as_json else {}
    report |= {"device": device, "config": target.engine.digest}
    report["decomposed"] = decomposed
    report["adapter"] = str(adapter) if adapter else None
    if as_json:
        report["profile"] = rows
        typer.echo(json.dumps(report))
        return
    errors.print(_figures(report))
    if profile:
        errors.print(_profile_table(rows))


def _decomposed(loaded: "LoadedModel", driver: "Driver", tokens: int, console: Any) -> int:
    """Let prompts be decomposed; returns at how many inputs one of so many tokens is."""
    from summand.decompose import attach_decompositions

    count = attach_decompositions(loaded, driver)
    taken = sum(g.prompts is not None and g.prompts.takes(tokens) for g in loaded.groups)
    short = "" if taken else "; it is too short for that to save anything"
    console.print(
        f"A prompt of {tokens} tokens is decomposed at {taken} of {count} inputs that may be{short}"
    )
    return taken


def _check(prompt: str, temperature: float) -> None:
    try:
        prompt.encode()
    except UnicodeEncodeError as e:
        raise SummandError(
            f"--prompt must be UTF-8; the character at {e.start + 1} is none"
        ) from None
    low, high = _TEMPERATURES
    if temperature and not low <= temperature <= high:
        raise SummandError(f"--temperature must be 0, or {low:g} to {high:g}, not {temperature:g}")


def _load(
    source: "SummandModel",
    adapter: "Adapter | None",
    host: Any,
    driver: "Driver",
    console: Any,
) -> "LoadedModel":
    from rich.progress import Progress

    from summand.runtime.load import load_model

    with Progress(console=console, transient=True) as bars:
        rounds = 2 if adapter else 1
        task = bars.add_task("Packing weights", total=rounds * len(source.groups))

        def advance(_: str) -> None:
            bars.advance(task)

        sending = bars.add_task("Writing the board's memory", visible=False)

        def send(done: int, total: int) -> None:
            bars.update(sending, completed=done, total=total, visible=True)

        loaded = load_model(source, driver, host=host, progress=advance, uploading=send)
        if adapter:
            name = str(adapter.path)
            loaded.add_adapter(name, adapter, progress=advance)
            loaded.use_adapter(name)
        return loaded


def _write(
    loaded: "LoadedModel",
    driver: "Driver",
    writer: "Writer",
    ids: Sequence[int],
    *,
    tokens: int,
    quiet: bool,
) -> dict[str, Any]:
    """Write the text; returns the cost of the prompt and that of the tokens after the first."""
    from summand.bench import usage_figures
    from summand.decoding import TextStream, stop_tokens
    from summand.runtime import Usage

    stop = stop_tokens(loaded.model, loaded.tokenizer)
    stream, written = TextStream(loaded.tokenizer), []
    start = time.perf_counter()
    first, prefill = start, Usage()
    for token in writer.write(ids, tokens=tokens, stop=stop):
        if not written:
            first, prefill = time.perf_counter(), driver.total
        written.append(token)
        _echo(stream.push(token), quiet)
    end = time.perf_counter()
    _echo(stream.finish() + "\n", quiet)
    whole = driver.total
    if not written:  # the prompt was the end of it
        first, prefill = end, whole
    decode = whole.since(prefill)
    per_token, count = (decode, writer.chosen) if writer.passes else (prefill, len(ids))
    return {
        "text": stream.text,
        "tokens": len(written),
        "token_ids": written,
        "prompt_tokens": len(ids),
        "cycles_per_token": per_token.counters.cycles / count if whole.counters.cycles else None,
        "stream_bits_per_token": per_token.stream_bits / count,
        "answer_bytes_per_token": per_token.answer_bytes / count,
        "seconds_per_token": round((end - first) / count if writer.passes else first - start, 4),
        "work_share": whole.work_share,
        "seconds": round(end - start, 3),
        "prefill": usage_figures(prefill) | {"seconds": round(first - start, 3)},
        "decode": usage_figures(decode) | {"seconds": round(end - first, 3)},
        "speculation": speculation_figures(writer),
    }


def _echo(text: str, quiet: bool) -> None:
    if text and not quiet:
        typer.echo(text, nl=False)


def _figures(report: Mapping[str, Any]) -> str:
    cycles, share = report["cycles_per_token"], report["work_share"]
    return (
        f"{report['tokens']} tokens after {report['prompt_tokens']} of prompt in "
        f"{report['seconds']:.1f} s; per token {report['seconds_per_token']:.2f} s, "
        f"{report['stream_bits_per_token']:.0f} stream bits"
        + (f", {cycles:.0f} cycles" if cycles else "")
        + (f"; the array worked in {share:.1%} of them" if share is not None else "")
        + _drafted(report["speculation"])
    )


def _drafted(figures: Mapping[str, Any]) -> str:
    """Return what drafts came to, if there were any."""
    passes = figures["passes"]
    if not figures["proposed"]:
        return ""
    places = " ".join(f"{n / passes:.0%}" for n in figures["accepted_by_place"])
    return (
        f"\n{figures['tokens_per_pass']:.2f} tokens a pass over the weights, {passes} passes; "
        f"of {figures['proposed'] / passes:.1f} tokens proposed "
        + (f"the first, second ... was right in {places}" if places else "none was right")
    )


def _profile(driver: "Driver") -> dict[str, dict[str, Any]]:
    """Return the counted cost of each kind of layer, and its cost by the cost law."""
    from summand.bench import Law, by_role, usage_figures

    law = by_role(Law(driver.config).total(driver.calls))
    rows: dict[str, dict[str, Any]] = {}
    for name, usage in by_role(driver.usage).items():
        modelled = law[name]
        counted = usage.counters.cycles > 0
        rows[name] = usage_figures(usage) | {
            "modelled": usage_figures(modelled),
            "law_equal": usage == modelled if counted else None,
        }
    return rows


def _profile_table(rows: Mapping[str, Mapping[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    from summand.bench import waits
    from summand.isa.packets import Counters

    title = "Cost by layers; * stands for all blocks"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("layers", overflow="fold", min_width=12)
    for column in ("calls", "stream\nMbit", "cycles", "by the\nlaw", "of the\nlimit"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("waiting")
    for name, row in rows.items():
        modelled = row["modelled"]
        counted = row if row["law_equal"] is not None else modelled
        table.add_row(
            name,
            f"{row['calls']:,}",
            f"{row['stream_bits'] / 1e6:,.2f}",
            f"{row['counters']['cycles']:,}" if row is counted else "-",
            f"{modelled['counters']['cycles']:,}",
            f"{counted['stream_share']:.1%}",
            waits(Counters(**counted["counters"])),
        )
    return table
