"""``summand generate``: Verilog, register map and board files of a configuration."""

import dataclasses
import enum
import importlib.metadata
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.engine import (
    EngineBoardOption,
    EngineOption,
    TechnologyOption,
    choose_engine,
    choose_technology,
)
from summand.cli.folder import OutputFile, OutputFolder
from summand.isa import EngineConfig, SummandError
from summand.isa.distribution import VERSION

if TYPE_CHECKING:
    from summand.boards.board import Board
    from summand.rtl.feeds.block import AxiBlock
    from summand.rtl.technology import Technology

__all__ = ["IpFormat", "board_outputs", "generate", "register"]

_KIND = "summand-verilog"
_VERILOG, _MODELS, _CORE = "summand.v", "primitives_sim.v", "summand.core"


class IpFormat(enum.StrEnum):
    """Whose IP blocks the engine becomes."""

    VIVADO = "vivado"


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("generate")(_generate)


def _generate(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write; made if missing.")
    ],
    config: EngineOption = None,
    board: EngineBoardOption = None,
    technology: TechnologyOption = None,
    memory: Annotated[
        int,
        typer.Option(
            metavar="MIB",
            min=0,
            max=1 << 20,
            help="Let a memory of so many MiB hold the weights: a player in front of the engine, "
            "and a master of AXI4.",
        ),
    ] = 0,
    ip: Annotated[
        IpFormat | None,
        typer.Option(help="Make it an IP block, too; with --board a project for the board."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the Verilog of an engine: one file, with its register map and a C header.

    A bench in Verilog comes with it, and a core file for FuseSoC, which lints and simulates both.
    --board adds a top for the board, with a serial link, and the pins' constraints, where Summand
    makes designs of its family; the Verilog names the primitives of the board's FPGA, and models of
    these come with it. --memory makes it an engine that takes items and plays its weights from a
    memory on AXI4. --ip vivado adds what Vivado's catalogue and block designs take, and a script
    that makes the whole design for boards with a processor system that Summand knows. Equal
    configurations give equal files, byte for byte. manifest.json lists all files with their
    SHA-256; it is written last.
    """
    start = time.perf_counter()
    engine, target = choose_engine(config, board, "generated")
    primitives = choose_technology(technology, target.family if target else None)
    manifest = generate(engine, out, primitives, target, ip, memory << 20)
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **manifest, "seconds": seconds}))
        return
    for name, entry in manifest["files"].items():
        typer.echo(f"{out / name}  {entry['bytes']:,} bytes  {entry['what']}")
    typer.echo(f"engine {engine.digest}, {seconds:.1f} s")
    if target and target.lacking and not (ip and target.vivado):
        typer.echo(target.lacking)


def generate(
    config: EngineConfig,
    out: Path,
    technology: "Technology",
    board: "Board | None" = None,
    ip: IpFormat | None = None,
    memory_bytes: int = 0,
) -> dict[str, Any]:
    """Write an engine's files, a board's, and an IP block's, into a folder; returns the manifest.

    Files that an earlier call wrote there are replaced, all others left alone. Nothing is
    written before all contents have been generated.

    Parameters
    ----------
    config : EngineConfig
        The engine's.
    out : Path
        The folder.
    technology : Technology
        Whose primitives the Verilog may name.
    board : Board, optional
        Where the engine goes.
    ip : IpFormat, optional
        What it becomes besides.
    memory_bytes : int
        Size of its memory for weights on AXI4; 0: none.

    Raises
    ------
    FolderError
        If ``out`` cannot be written, or a file there is in the way.
    SummandError
        If an IP block is asked for, and the Verilog names primitives that its tool does not know;
        or if the memory is too large, or the board's design would have none.
    """
    from summand.rtl.feeds.block import AxiBlock

    folder = OutputFolder(out, kind=_KIND, command="generate")
    block = AxiBlock(config=config, memory_beats=memory_bytes // config.beat_bytes)
    if memory_bytes and board and not board.lacking:
        raise SummandError(
            f"--memory is of an engine with a master of AXI4, and {board.name} has a design of its "
            f"own: summand build --board {board.name} --memory, or --config alone"
        )
    files = _engine_files(block, technology)
    if board and not board.lacking:
        from summand.boards.files import board_files

        files |= board_outputs(board, board_files(board, config, technology))
    if ip:
        files |= _ip_files(block, technology, board)
    manifest = {
        "format": 1,
        "summand": VERSION,
        "amaranth": importlib.metadata.version("amaranth"),
        "digest": config.digest,
        "config": dataclasses.asdict(config),
        "technology": technology.value,
        "board": board.name if board else None,
        "ip": ip,
        "memory_beats": block.memory_beats,
        "top": block.module,
    }
    return folder.write(files, manifest)


def _engine_files(block: "AxiBlock", technology: "Technology") -> dict[str, OutputFile]:
    from summand.block import bench_files, core_file
    from summand.rtl.emit import emit_verilog
    from summand.rtl.feeds.manual import c_header, markdown
    from summand.rtl.technology import simulation_models

    verilog = emit_verilog(
        block.top(), name=block.module, config=block.config, technology=technology
    )
    models = simulation_models(technology)
    simulated = f"models of {technology.value}'s primitives, for simulation only"
    core = core_file(block, _VERILOG, _MODELS if models else None)
    what = "engine, player and memory's master" if block.memory_beats else "engine"
    return {
        _VERILOG: OutputFile(verilog, f"{what} with AXI ports, module {block.module}"),
        "config.json": OutputFile(block.config.to_json(), "configuration"),
        "registers.md": OutputFile(markdown(block), "register map"),
        "summand_registers.h": OutputFile(c_header(block), "register map for C"),
        **({_MODELS: OutputFile(models, simulated)} if models else {}),
        **{name: OutputFile(*made) for name, made in bench_files(block).items()},
        _CORE: OutputFile(core, "the engine, its lint and its simulation, for FuseSoC"),
    }


def _ip_files(
    block: "AxiBlock", technology: "Technology", board: "Board | None"
) -> dict[str, OutputFile]:
    from summand.boards.vivado.files import vivado_files
    from summand.rtl.technology import Technology

    if technology is not Technology.GENERIC:
        raise SummandError(
            f"--ip {IpFormat.VIVADO} takes Verilog without another maker's primitives, not that of "
            f"{technology.value}; give --technology {Technology.GENERIC.value}"
        )
    made = vivado_files(block, _VERILOG, board)
    return {name: OutputFile(text, what) for name, (text, what) in made.items()}


def board_outputs(board: "Board", files: Mapping[str, str]) -> dict[str, OutputFile]:
    """Return a board's Verilog and constraints, given their texts, as files to be written."""

    def kind(name: str) -> str:
        return "Verilog for" if name.endswith(".v") else "pins and clock of"

    return {name: OutputFile(text, f"{kind(name)} {board.title}") for name, text in files.items()}
