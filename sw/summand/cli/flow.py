"""``summand flow``: from a model and a board to Verilog that writes text, in one command."""

import hashlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from summand.cli.arguments import (
    ALL_FEATURES,
    CalibrationOption,
    CalibrationTokensOption,
    FeaturesOption,
    MadeBoardOption,
    MaxKlOption,
    MaxLutOption,
    RouteOption,
    SourceArgument,
)
from summand.cli.consoles import open_console
from summand.cli.folder import FolderError
from summand.cli.reports import compared_lines
from summand.explore.files import keep, kept
from summand.isa import SummandError
from summand.isa.distribution import VERSION

__all__ = ["Stage", "register", "run_stage"]

#: How many there are.
_STAGES = 5

#: Runs the command line in a process of its own, whose memory is free when it ends.
_SUMMAND = "import sys; from summand.cli import main; sys.exit(main(sys.argv[1:]))"


class FlowError(SummandError):
    """A stage that failed; it has said why."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A command of the flow.

    Parameters
    ----------
    name : str
        Its result goes to ``NAME.json``.
    title : str
        What it does, for people.
    arguments : tuple of str
        Of ``summand``, without ``--json``.
    inputs : tuple of Path
        Files whose contents the result depends on.
    """

    name: str
    title: str
    arguments: tuple[str, ...]
    inputs: tuple[Path, ...] = ()

    def key(self) -> str:
        """Return a checksum of all that the result depends on."""
        digest = hashlib.sha256(json.dumps([VERSION, self.arguments]).encode())
        for path in self.inputs:
            digest.update(_fingerprint(path))
        return digest.hexdigest()


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("flow")(_flow)


def _flow(
    model: SourceArgument,
    board: MadeBoardOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write; made if missing.")
    ],
    max_kl: MaxKlOption = 0.1,
    max_lut: MaxLutOption = None,
    features: FeaturesOption = ALL_FEATURES,
    route: RouteOption = False,
    calibration: CalibrationOption = None,
    calibration_tokens: CalibrationTokensOption = 8192,
    prefill: Annotated[int, typer.Option(help="Tokens of a prompt.", min=0)] = 512,
    decode: Annotated[int, typer.Option(help="Tokens written behind it.", min=0)] = 256,
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "Once upon a time",
    tokens: Annotated[int, typer.Option(help="Tokens to write.", min=1)] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Explore, compress, generate, verify and run: from a model and a board to a report.

    Each stage's result is kept, and only what changed is done again, so an interrupted flow goes on
    where it was. DIR gets explore (with the model and the engine that were chosen), verilog, and
    the JSON of every stage. For boards whose design Vivado makes, the Verilog becomes an IP block
    with a project.
    """
    from summand.boards.library import find_board

    start = time.perf_counter()
    target = find_board(board)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise FolderError(f"cannot make {out}: {e.strerror}") from None
    errors = open_console(stderr=True)

    def run(number: int, stage: Stage) -> dict[str, Any]:
        errors.print(f"{number} of {_STAGES}: {stage.title}", soft_wrap=True)
        begun = time.perf_counter()
        result, done = run_stage(stage, out)
        errors.print(f"  {time.perf_counter() - begun:.0f} s" if done else "  as before")
        return result

    options = ("--max-kl", str(max_kl), "--prefill", str(prefill), "--decode", str(decode))
    options += ("--features", features, "--calibration-tokens", str(calibration_tokens))
    options += ("--max-lut", str(max_lut)) if max_lut else ()
    options += ("--route",) if route else ()
    options += ("--calibration", str(calibration)) if calibration else ()
    inputs = (*_files(model), *_files(board), *((calibration,) if calibration else ()))
    results = {"explore": run(1, _exploring(model, board, out, options, inputs))}
    made = Path(results["explore"]["chosen"]["measured"]["folder"]) / "model"
    catalogue = ("--ip", "vivado") if target.vivado else ()
    stages = _using(board, out, made, catalogue, prompt, tokens)
    results |= {stage.name: run(i, stage) for i, stage in enumerate(stages, 2)}
    golden, sim = results["golden"]["text"], results["sim"]["text"]
    record = {
        "model": model,
        "board": target.name,
        "engine": results["explore"]["chosen"]["digest"],
        "exact": results["verify"]["exact"] and golden == sim,
        "text": sim,
        "cycles_per_token": results["sim"]["cycles_per_token"],
        "projected": results["explore"]["chosen"]["projected"],
        "table": results["explore"]["measured"]["table"],
        "seconds": round(time.perf_counter() - start, 1),
        "report": str(out / "explore" / "report.html"),
        "lacking": None if target.vivado else target.lacking,
    }
    if as_json:
        typer.echo(json.dumps(record))
    else:
        _show(record, out)
    if not record["exact"]:
        raise typer.Exit(1)


def _exploring(
    model: str, board: str, out: Path, options: tuple[str, ...], inputs: tuple[Path, ...]
) -> Stage:
    return Stage(
        name="explore",
        title="explore engines and compressions, make the chosen one and measure it",
        arguments=(
            *("explore", model, "--board", board, "-o", str(out / "explore"), "--measure"),
            *options,
        ),
        inputs=inputs,
    )


def _using(
    board: str, out: Path, made: Path, catalogue: tuple[str, ...], prompt: str, tokens: int
) -> list[Stage]:
    """Return what is done with the engine that was chosen and the model that was made for it.

    ``catalogue`` has the arguments that make the Verilog an IP block, where it becomes one.
    """
    engine, verilog = out / "explore" / "engine.json", out / "verilog"
    inputs = (engine, made / "manifest.json")
    use = ("--config", str(engine))
    text = ("--prompt", prompt, "--tokens", str(tokens))
    return [
        Stage(
            name="generate",
            title="generate its Verilog",
            arguments=("generate", *use, "--board", board, *catalogue, "-o", str(verilog)),
            inputs=(engine, *_files(board)),
        ),
        Stage(
            name="verify",
            title="verify layers of the model on the Verilog",
            arguments=("verify", *use, "--model", str(made), "--layers", "4"),
            inputs=inputs,
        ),
        Stage(
            name="golden",
            title="write text on the golden model",
            arguments=("run", str(made), *use, "--device", "golden", *text),
            inputs=inputs,
        ),
        Stage(
            name="sim",
            title="write the same text, every linear layer on the simulated Verilog",
            arguments=("run", str(made), *use, "--device", "sim", *text),
            inputs=inputs,
        ),
    ]


def _files(name: str) -> tuple[Path, ...]:
    """Return what a name is the path of, if it is one."""
    return (Path(name),) if Path(name).exists() else ()


def run_stage(stage: Stage, folder: Path) -> tuple[dict[str, Any], bool]:
    """Return a stage's result, and whether it was worked out now.

    Raises
    ------
    FlowError
        If the command failed, or said nothing that can be read.
    """
    path, key = folder / f"{stage.name}.json", stage.key()
    if (known := kept(path, key)) is not None:
        return known, False
    command = [sys.executable, "-P", "-c", _SUMMAND, *stage.arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    shown = shlex.join(["summand", *stage.arguments])
    if done.returncode:
        raise FlowError(f"{stage.name} failed with status {done.returncode}: {shown}")
    try:
        result = json.loads(done.stdout)
    except ValueError:
        raise FlowError(f"{stage.name} printed no JSON: {shown}") from None
    keep(path, stage.key(), result)
    return result, True


def _fingerprint(path: Path) -> bytes:
    """Return a checksum of a file, or of the names, sizes and times of what is in a folder."""
    if path.is_dir():
        listed = [
            (str(file.relative_to(path)), file.stat().st_size, file.stat().st_mtime_ns)
            for file in sorted(path.rglob("*"))
            if file.is_file()
        ]
        return hashlib.sha256(json.dumps(listed).encode()).digest()
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b"none"


def _show(record: Mapping[str, Any], out: Path) -> None:
    typer.echo(f"engine {record['engine']} for {record['board']}; Verilog in {out / 'verilog'}")
    for line in compared_lines(record["table"]):
        typer.echo(line)
    rate = record["projected"]["tokens_s"]
    typer.echo(f"  {rate:.3g} tokens/s on the board, projected" if rate else "")
    verdict = "the same" if record["exact"] else "NOT the same"
    cycles = f"{record['cycles_per_token']:,.0f} cycles a token"
    typer.echo(f"Golden model and generated Verilog wrote {verdict}, {cycles}:")
    typer.echo(record["text"])
    if record["lacking"]:
        typer.echo(record["lacking"])
    typer.echo(f"Report in {record['report']}; {record['seconds']:.0f} s")
