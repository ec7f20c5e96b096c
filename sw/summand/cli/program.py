"""``summand program``: load a bitstream onto a board."""

import hashlib
import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from summand.cli.build import BITSTREAM_FILE, BITSTREAM_KIND
from summand.cli.consoles import open_console
from summand.cli.folder import MANIFEST
from summand.isa import SummandError

if TYPE_CHECKING:
    from summand.boards.board import Board

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("program")(_program)


def _program(
    board: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="The board, such as ulx3s-85f.")
    ],
    bitstream: Annotated[
        Path,
        typer.Option(
            metavar="FILE|DIR",
            help="The bitstream, or the folder that summand build wrote; without it this folder.",
        ),
    ] = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the command that would load it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Load a bitstream onto a board that is attached, by openFPGALoader.

    The FPGA has it until it loses power. A bitstream in a folder of summand build is checked
    first: it must be whole, and for this board.
    """
    from summand.boards.library import find_board
    from summand.synth.loading import load, load_arguments
    from summand.synth.tools import LOADER

    target = find_board(board)
    file = bitstream / BITSTREAM_FILE if bitstream.is_dir() else bitstream
    command = [LOADER.name, *load_arguments(target, file)]
    _check(file, target)
    report = {"board": target.name, "bitstream": str(file), "command": command}
    if dry_run:
        typer.echo(json.dumps(report) if as_json else shlex.join(command))
        return
    start = time.perf_counter()
    with open_console(stderr=True).status(f"Loading {file}"):
        version = load(target, file)
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        typer.echo(json.dumps({**report, "loader": version, "seconds": seconds}))
    else:
        typer.echo(f"{target.name} has {file}, {seconds:.1f} s")


def _check(file: Path, board: "Board") -> None:
    """Refuse a file that cannot be read, and one that its manifest says is another or damaged."""
    from summand.model import ModelError
    from summand.model.reading import read_json

    try:
        data = file.read_bytes()
    except OSError as e:
        raise SummandError(
            f"cannot read the bitstream {file}: {e.strerror}; make it by summand build --board "
            f"{board.name} -o DIR, and give --bitstream DIR"
        ) from None
    try:
        manifest = read_json(file.parent / MANIFEST)
    except (OSError, ModelError):
        return  # a bitstream from elsewhere
    match manifest:
        case {"kind": kind, "board": made_for, "files": dict(files)} if kind == BITSTREAM_KIND:
            if made_for != board.name:
                raise SummandError(f"{file} was made for {made_for}, not for {board.name}")
            match files.get(file.name):
                case {"sha256": digest} if digest != hashlib.sha256(data).hexdigest():
                    raise SummandError(
                        f"{file} is not what summand build wrote there; build it again"
                    )
