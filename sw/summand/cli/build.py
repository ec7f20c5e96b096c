"""``summand build``: a board's bitstream."""

import dataclasses
import importlib.metadata
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.arguments import MadeBoardOption
from summand.cli.consoles import open_console
from summand.cli.devices import ConfigOption
from summand.cli.engine import TechnologyOption, choose_technology
from summand.cli.folder import OutputFile, OutputFolder
from summand.cli.generate import board_outputs
from summand.isa import EngineConfig
from summand.isa.distribution import VERSION

if TYPE_CHECKING:
    from summand.boards.ethernet.record import BoardEthernet
    from summand.rtl.technology import Technology
    from summand.synth.bitstream import Bitstream
    from summand.synth.placement import Placement

__all__ = ["BITSTREAM_FILE", "BITSTREAM_KIND", "register"]

#: What the manifest of the folder says it is.
BITSTREAM_KIND = "summand-bitstream"
#: The tools' files, in the output folder; an interrupted build continues from them.
_WORK = "work"
#: What is written there beside the design.
BITSTREAM_FILE = "summand_top.bit"


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("build")(_build)


def _build(
    board: MadeBoardOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write; made if missing.")
    ],
    config: ConfigOption = None,
    technology: TechnologyOption = None,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory",
            help="Let the board's memory hold the weights: a controller, made by LiteDRAM, and a "
            "player in front of the engine. All runs on the memory's clock.",
        ),
    ] = False,
    ethernet: Annotated[
        bool,
        typer.Option(
            "--ethernet",
            help="Let the host reach the board by UDP in place of the serial line: a core, made by "
            "LiteEth, at the board's Ethernet. The addresses are those of the board's file. Not "
            "needed where the file's link is of kind ethernet.",
        ),
    ] = False,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Seed of the placement, 1 without it. Several are tried in turn until one meets "
            "the clock.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make the bitstream of a board: Yosys, nextpnr, timing check, packing.

    Takes minutes. An interrupted build goes on where it was, and steps whose inputs have not
    changed are not run again. A clock that is missed is an error and leaves no bitstream.
    manifest.json lists all files with their SHA-256 and what the design needs; it is written last.
    """
    from summand.boards.configurations import find_configuration
    from summand.boards.files import board_files
    from summand.boards.library import find_board
    from summand.cli.progress import heartbeat
    from summand.synth.bitstream import TimingError, build_bitstream, check_tools
    from summand.synth.estimate import fits

    start = time.perf_counter()
    target = find_board(board)
    engine = find_configuration(config).config if config else target.engine
    target.designed()
    network = target.network(asked=ethernet)
    primitives = choose_technology(technology, target.family)
    fits(engine, target.chip.part)
    folder = OutputFolder(out, kind=BITSTREAM_KIND, command="build")
    with heartbeat(open_console(stderr=True)) as progress:
        progress("Starting the tools")
        check_tools(target.family)
        progress("Writing Verilog")
        texts = board_files(target, engine, primitives, memory=memory, ethernet=ethernet)
        design = board_outputs(target, texts)
        design["config.json"] = OutputFile(engine.to_json(), "the engine's configuration")
        folder.prepare({*design, BITSTREAM_FILE})
        if not folder.holds(design):
            folder.clear()
        seeds = tuple(seed or (1,))
        try:
            made = build_bitstream(
                target, texts, out / _WORK, memory=memory, seeds=seeds, progress=progress
            )
        except TimingError:
            folder.clear()
            raise
    bits = OutputFile(made.path, f"bitstream for {target.title}")
    manifest = _manifest(engine, primitives, made, network)
    manifest = folder.write({**design, BITSTREAM_FILE: bits}, manifest)
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **manifest, "seconds": seconds}))
        return
    _show(manifest, out)
    typer.echo(f"{seconds:.0f} s. To load it: summand program {board} --bitstream {out}")
    if network:
        typer.echo(f"Then it is the device udp:{network.ip_address}:{network.port}")


def _manifest(
    engine: EngineConfig,
    technology: "Technology",
    made: "Bitstream",
    network: "BoardEthernet | None",
) -> dict[str, Any]:
    placement = made.placement
    return {
        "format": 1,
        "summand": VERSION,
        "amaranth": importlib.metadata.version("amaranth"),
        "yosys": made.netlist.tool,
        "nextpnr": placement.tool,
        "board": made.board.name,
        "part": made.board.chip.part.name,
        "package": made.board.chip.package,
        "speed_grade": made.board.chip.speed_grade,
        "digest": engine.digest,
        "config": dataclasses.asdict(engine),
        "technology": technology.value,
        "memory": made.memory,
        "ethernet": dataclasses.asdict(network) if network else None,
        "seed": placement.options.seed,
        "clocks": {name: dataclasses.asdict(clock) for name, clock in placement.clocks.items()},
        "missed": {str(p.options.seed): _slowest(p) for p in made.attempts[:-1]},
        "used": dict(placement.cells.used),
        "available": dict(placement.cells.available),
    }


def _slowest(placement: "Placement") -> float:
    """Return the lowest frequency that any of the clocks reached, MHz."""
    clocks = placement.clocks.values()
    return min(clocks, key=lambda c: c.achieved_mhz / c.constraint_mhz).achieved_mhz


def _show(manifest: dict[str, Any], out: Path) -> None:
    typer.echo(f"{manifest['board']} with the engine {manifest['digest']}")
    for name, used in manifest["used"].items():
        there = manifest["available"][name]
        typer.echo(f"  {name.replace('_', ' '):11} {used:7,} of {there:7,}  {used / there:4.0%}")
    for clock in manifest["clocks"].values():
        typer.echo(
            f"  {clock['achieved_mhz']:.1f} MHz reached, {clock['constraint_mhz']:g} MHz needed "
            f"(seed {manifest['seed']})"
        )
    typer.echo(f"{out / BITSTREAM_FILE}  {manifest['files'][BITSTREAM_FILE]['bytes']:,} bytes")
