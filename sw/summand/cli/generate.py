"""``summand generate``: Verilog, register map and board files of a configuration."""

import dataclasses
import hashlib
import importlib.metadata
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.isa import EngineConfig, SummandError

if TYPE_CHECKING:
    from summand.boards.board import Board

__all__ = ["ENGINE_MODULE", "MANIFEST", "GenerateError", "generate", "register"]

#: The engine's Verilog module.
ENGINE_MODULE = "summand_engine"
#: The file that lists all others; written last, so where it is, everything is.
MANIFEST = "manifest.json"

_KIND = "summand-verilog"


class GenerateError(SummandError):
    """Verilog that cannot be written where it should go."""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("generate")(_generate)


def _generate(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write; made if missing.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The engine's configuration, a JSON file."),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A board, such as ulx3s-85f: its engine, or that of --config, and the board's "
            "top and pin constraints.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the Verilog of an engine: one file, with its register map and a C header.

    With --board also a top for the board, with a serial link, and the pins' constraints. Equal
    configurations give equal files, byte for byte. manifest.json lists all files with their
    SHA-256; it is written last.
    """
    from summand.boards.board import find_board

    start = time.perf_counter()
    target = find_board(board) if board else None
    if config:
        engine = EngineConfig.load(config)
    elif target:
        engine = target.engine
    else:
        raise SummandError("give --config FILE or --board NAME: which engine is to be generated?")
    manifest = generate(engine, out, target)
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **manifest, "seconds": seconds}))
        return
    for name, entry in manifest["files"].items():
        typer.echo(f"{out / name}  {entry['bytes']:,} bytes  {entry['what']}")
    typer.echo(f"engine {engine.digest}, {seconds:.1f} s")


def generate(config: EngineConfig, out: Path, board: "Board | None" = None) -> dict[str, Any]:
    """Write an engine's files, and a board's, into a folder; returns the manifest.

    Files that an earlier call wrote there are replaced, all others left alone. Nothing is
    written before everything is known.

    Raises
    ------
    GenerateError
        If ``out`` cannot be written, or a file there is in the way.
    """
    known = _known_files(out)
    files = _engine_files(config)
    if board:
        files |= _board_files(config, board)
    entries = {
        name: {"sha256": _digest(text), "bytes": len(text.encode()), "what": what}
        for name, (text, what) in files.items()
    }
    manifest = {
        "kind": _KIND,
        "format": 1,
        "summand": importlib.metadata.version("summand"),
        "amaranth": importlib.metadata.version("amaranth"),
        "digest": config.digest,
        "config": dataclasses.asdict(config),
        "board": board.name if board else None,
        "top": ENGINE_MODULE,
        "files": entries,
    }
    texts = {name: text for name, (text, _) in files.items()}
    _write(out, texts, json.dumps(manifest, indent=2) + "\n", known)
    return manifest


def _engine_files(config: EngineConfig) -> dict[str, tuple[str, str]]:
    from summand.rtl.axi import AxiEngine
    from summand.rtl.emit import emit_verilog
    from summand.rtl.registers import c_header, markdown

    verilog = emit_verilog(AxiEngine(config), name=ENGINE_MODULE, config=config)
    return {
        "summand.v": (verilog, f"engine with AXI ports, module {ENGINE_MODULE}"),
        "config.json": (config.to_json(), "configuration"),
        "registers.md": (markdown(config), "register map"),
        "summand_registers.h": (c_header(config), "register map for C"),
    }


def _board_files(config: EngineConfig, board: "Board") -> dict[str, tuple[str, str]]:
    from summand.boards.build import board_files

    kinds = {".v": f"Verilog for {board.title}", ".lpf": f"pins and clock of {board.title}"}
    return {
        name: (text, kinds[Path(name).suffix]) for name, text in board_files(board, config).items()
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _known_files(out: Path) -> set[str]:
    """Return the files that an earlier call wrote into a folder."""
    if out.exists() and not out.is_dir():
        raise GenerateError(f"{out} is a file; -o names a folder")
    try:
        manifest = json.loads((out / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except (OSError, ValueError):
        manifest = None
    match manifest:
        case {"kind": kind, "files": dict(files)} if kind == _KIND:
            return {name for name in files if Path(name).name == name}
    raise GenerateError(
        f"{out / MANIFEST} was not written by summand generate; choose another folder"
    )


def _write(out: Path, files: Mapping[str, str], manifest: str, known: set[str]) -> None:
    """Put files into a folder where those ``known`` may be replaced; the manifest comes last."""
    if strange := sorted(n for n in files if (out / n).exists() and n not in known):
        raise GenerateError(
            f"{out / strange[0]} is in the way and not from an earlier run; "
            f"choose another folder, or move it"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".generate-") as staging:
            for name, text in {**files, MANIFEST: manifest}.items():
                (Path(staging) / name).write_text(text, encoding="utf-8", newline="\n")
            (out / MANIFEST).unlink(missing_ok=True)
            for stale in known - files.keys():
                (out / stale).unlink(missing_ok=True)
            for name in (*files, MANIFEST):
                (Path(staging) / name).replace(out / name)
    except OSError as e:
        raise GenerateError(f"cannot write {e.filename or out}: {e.strerror}") from None
