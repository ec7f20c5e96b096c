"""``summand verify``: generated Verilog against the golden model."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
from summand.isa import EngineConfig, SummandError

if TYPE_CHECKING:
    from summand.isa.patterns import SparsePattern
    from summand.model import SummandModel
    from summand.runtime import Driver
    from summand.runtime.verify import Comparison, Shape

__all__ = ["register", "show"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("verify")(_verify)


def _verify(
    config: ConfigOption = None,
    board: BoardOption = None,
    shape: Annotated[
        str | None,
        typer.Option(metavar="M,K,N", help="Tokens, inputs and outputs of a random layer."),
    ] = None,
    bits: Annotated[
        int, typer.Option(help="Bits of the random layer's dense summand, 1 to 8.")
    ] = 4,
    half_step: Annotated[
        bool, typer.Option("--half-step", help="Its dense weights are half-step.")
    ] = False,
    sparsity: Annotated[
        str, typer.Option(metavar="N:M", help="Pattern of its dense weights; none for all.")
    ] = "none",
    outliers: Annotated[
        str, typer.Option(metavar="N:M", help="Pattern of its 8-bit outliers; none for none.")
    ] = "none",
    act_groups: Annotated[
        int, typer.Option(help="Groups of its input's channels, 2 to 16; 0 for none.")
    ] = 0,
    rank: Annotated[int, typer.Option(help="Rank of its low-rank summand; 0 for none.")] = 0,
    rank_bits: Annotated[int, typer.Option(help="Bits of its low-rank factors, 1 to 8.")] = 4,
    model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Verify layers of this Summand model instead."),
    ] = None,
    layers: Annotated[
        str,
        typer.Option(
            metavar="N|NAMES",
            help="How many of the model's groups of layers, spread over it, or the names of "
            "layers, with commas; those that share an input are verified together.",
        ),
    ] = "4",
    tokens: Annotated[int, typer.Option(help="Random tokens for each of the model's layers.")] = 2,
    decompose: Annotated[
        bool,
        typer.Option(
            "--decompose",
            help="Verify its prompts by way of pseudo-tokens; --layers and --tokens are of these.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of all that is random.", min=0, max=LARGEST_SEED)] = 0,
    stall: Annotated[
        float, typer.Option(help="Probability of withholding a beat, on both sides.")
    ] = 0.0,
    device: DeviceOption = "sim",
    memory: MemoryOption = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compute a layer on the generated Verilog, and compare every bit with the golden model.

    The layer is random (--shape) or a model's (--model). With --device serial:PORT or
    udp:HOST[:PORT] a board computes it. Exits with status 0 only if everything is equal, with 1 if
    it is not, with 2 if the comparison could not be made.
    """
    from summand.model import SummandModel

    if (shape is None) == (model is None):
        raise SummandError("give either --shape M,K,N or --model DIR: what is to be verified?")
    if not 0 <= stall < 1:
        raise SummandError(f"--stall must be at least 0 and less than 1, not {stall}")
    if stall and device != "sim":
        raise SummandError(f"--stall is for --device sim, not for {device}")
    manifest = SummandModel(model, verify=False).manifest if model else None
    if decompose and model is None:
        raise SummandError("--decompose is for --model, whose decompositions it verifies")
    target = DeviceChoice.choose(device, config, board, manifest, memory=memory, operand=decompose)
    engine = target.engine
    if target.note:
        open_console(stderr=True).print(target.note, soft_wrap=True)
    if shape is not None:
        sizes = _shape(
            shape,
            bits=bits,
            half_step=half_step,
            sparsity=_pattern("--sparsity", sparsity),
            outliers=_pattern("--outliers", outliers),
            act_groups=act_groups,
            rank=rank,
            rank_bits=rank_bits,
        )
        jobs = _random_job(engine, sizes, seed)
    elif decompose:
        assert model is not None
        jobs = _prompt_jobs(model, layers, tokens, seed)
    else:
        assert model is not None
        jobs = _model_jobs(engine, model, layers, tokens, seed)
    results = []
    start = time.perf_counter()
    driver = target.open(open_console(stderr=True), stall=stall, seed=seed)
    ready = time.perf_counter()
    with driver:
        for job in jobs:
            results.append(job(driver))
            if not as_json:
                show(results[-1])
    report = _report(results, engine)
    report |= {"device": device, "open_seconds": round(ready - start, 3)}
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _summarise(report)
    if not report["exact"]:
        raise typer.Exit(1)


#: Each compares a group of layers on a device.
_Jobs = Iterator[Callable[["Driver"], "Comparison"]]


def _shape(shape: str, **more: Any) -> "Shape":
    """Return the random layer's sizes: tokens, inputs and outputs as a user gives them."""
    from summand.runtime.verify import Shape

    try:
        m, k, n = (int(part) for part in shape.split(","))
    except ValueError:
        raise SummandError(
            f"--shape must be three whole numbers M,K,N (tokens, inputs, outputs), not {shape!r}"
        ) from None
    return Shape(tokens=m, in_features=k, out_features=n, **more)


def _pattern(option: str, text: str) -> "SparsePattern | None":
    from summand.summands.errors import LayerError
    from summand.summands.patterns import parse_pattern

    try:
        return parse_pattern(text)
    except LayerError as e:
        raise SummandError(f"{option} cannot be {text!r}: {e}") from None


def _random_job(engine: EngineConfig, sizes: "Shape", seed: int) -> _Jobs:
    import numpy as np

    from summand.runtime.verify import compare, random_layer

    layer, xq = random_layer(np.random.default_rng(seed), engine, sizes)
    return iter([lambda driver: compare([layer], driver, xq)])


def _model_jobs(engine: EngineConfig, folder: Path, which: str, tokens: int, seed: int) -> _Jobs:
    import numpy as np

    from summand.model import SummandModel
    from summand.runtime.verify import compare, random_tokens

    if not 1 <= tokens <= 4096:
        raise SummandError(f"--tokens must be 1 to 4096, not {tokens}")
    model = SummandModel(folder)
    groups = _choose(model, which, model.groups)
    rng = np.random.default_rng(seed)
    for names in groups:
        group = [model.layer(name) for name in names]
        xq = random_tokens(rng, engine, tokens, group[0].in_features)
        yield partial(compare, group, tokens=xq)


def _prompt_jobs(folder: Path, which: str, tokens: int, seed: int) -> _Jobs:
    import numpy as np

    from summand.decompose.compare import compare_prompt, random_prompt
    from summand.model import SummandModel
    from summand.model.decomposition import EXACT

    if not EXACT < tokens <= 8192:
        raise SummandError(f"--tokens must be {EXACT + 1} to 8192 with --decompose, not {tokens}")
    model = SummandModel(folder)
    found = {each.layers: each for each in model.decompositions()}
    groups = [names for names in _choose(model, which, tuple(found)) if names in found]
    if not groups:
        raise SummandError(
            f"{folder} has no decompositions of what --layers names; compress the model with "
            f"--decompose-loss, or name others"
        )
    rng = np.random.default_rng(seed)
    for names in groups:
        group = [model.layer(name) for name in names]
        x = random_prompt(rng, tokens, group[0].in_features)
        yield partial(compare_prompt, group, found[names], x=x)


def _choose(
    model: "SummandModel", which: str, groups: Sequence[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Return those of some groups that ``--layers`` names."""
    if which.isdecimal():
        count = min(int(which), len(groups))
        if not count:
            raise SummandError(f"--layers must be at least 1, or names of layers, not {which}")
        return _spread(groups, count)
    names = [model.entry(name.strip()).name for name in which.split(",")]
    return [group for group in groups if not set(group).isdisjoint(names)]


def _spread(groups: Sequence[tuple[str, ...]], count: int) -> list[tuple[str, ...]]:
    """Return ``count`` groups, of every role in turn, each time from a later block."""
    from summand.runtime.program import role_of

    roles: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        roles.setdefault(role_of(group[0]), []).append(i)
    chosen: list[int] = []
    for turn in range(count):
        left = [ids for ids in roles.values() if ids]
        ids = left[turn % len(left)]
        chosen.append(ids.pop(turn * len(ids) // count))
    return [groups[i] for i in sorted(chosen)]


def _report(results: "Sequence[Comparison]", engine: EngineConfig) -> dict[str, Any]:
    from summand.runtime import Usage

    total = sum((result.usage for result in results), Usage())
    return {
        "exact": all(result.exact for result in results),
        "cycles": total.counters.cycles or None,  # the golden model counts none
        "stream_beats": total.beats,
        "plane_words": total.plane_words,
        "macs": total.macs,
        "seconds": round(sum(result.seconds for result in results), 3),
        "config": engine.digest,
        "counters": dataclasses.asdict(total.counters),
        "groups": [
            {
                "name": result.name,
                "exact": result.exact,
                "wrong": list(result.wrong),
                "tokens": result.usage.tokens,
                "stream_beats": result.usage.beats,
                "plane_words": result.usage.plane_words,
                "macs": result.usage.macs,
                "counters": dataclasses.asdict(result.usage.counters),
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
    }


def show(result: "Comparison") -> None:
    """Print a comparison: a line, and one for each difference."""
    usage = result.usage
    cycles = f"{usage.counters.cycles} cycles for " if usage.counters.cycles else ""
    verdict = "exact" if result.exact else "DIFFERENT"
    typer.echo(
        f"{verdict}  {result.name}: {usage.tokens} tokens, {cycles}{usage.beats} stream beats, "
        f"{result.seconds:.1f} s"
    )
    for text in result.wrong:
        typer.echo(f"    {text}")


def _summarise(report: dict[str, Any]) -> None:
    groups = report["groups"]
    good = sum(group["exact"] for group in groups)
    cycles = report["cycles"]
    rate = f", {cycles} cycles, {cycles / report['seconds']:.0f} a second" if cycles else ""
    typer.echo(
        f"{good} of {len(groups)} groups exact on {report['device']} (engine {report['config']}): "
        f"{report['macs']} MACs{rate}"
    )
