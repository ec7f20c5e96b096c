"""``summand boards``: which boards there are, and what is known of them."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.cli.consoles import open_console
from summand.families.cells import CELL_KINDS

if TYPE_CHECKING:
    from summand.boards.board import Board
    from summand.boards.ethernet.record import BoardEthernet

__all__ = ["board_facts", "register"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("boards")(_boards)


def _boards(
    board: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE]...", help="Boards to explain; all of Summand's are listed without."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the boards, or explain some: FPGA, clock, memory, link, engine, and their sources.

    A TOML file of one's own is taken wherever a board's name is; docs/boards.md has its fields.
    """
    from summand.boards.library import find_board, packaged_boards

    found = [find_board(name) for name in board] if board else [*packaged_boards().values()]
    if as_json:
        typer.echo(json.dumps({"boards": [board_facts(one) for one in found]}))
        return
    if not board:
        _list(found)
        return
    for one in found:
        _explain(one)


def board_facts(board: "Board") -> dict[str, Any]:
    """Return all that is known of a board, for JSON."""
    return {
        **dataclasses.asdict(board),
        "bitstream": board.lacking is None,
        "lacking": board.lacking,
        "family": board.family.name,
        "link_bytes_s": board.link.bytes_s,
    }


def _list(boards: "list[Board]") -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("board", "FPGA"):
        table.add_column(title, no_wrap=True)
    for title in ("LUT", "BRAM", "DSP", "MHz", "GB/s"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("link", "design"):
        table.add_column(title, no_wrap=True)
    for board in boards:
        part = board.chip.part
        table.add_row(
            board.name,
            part.name,
            *(f"{part.luts:,}", f"{part.block_rams:,}", f"{part.dsps:,}"),
            f"{board.clock.engine_hz / 1e6:g}",
            f"{board.memory.reached_bytes_s / 1e9:.3g}",
            board.link.kind,
            "no" if board.lacking else "yes",
        )
    open_console().print(table)


def _explain(board: "Board") -> None:
    part, memory, link = board.chip.part, board.memory, board.link
    cells = ", ".join(f"{getattr(part, kind.name):,} {kind.title}" for kind in CELL_KINDS)
    own, usual = board.engine, type(board.engine)()
    fields = [f.name for f in dataclasses.fields(own)]
    engine = {n: getattr(own, n) for n in fields if getattr(own, n) != getattr(usual, n)}
    flow = board.family.flow
    tools = ", ".join(["Yosys", *(tool.name for tool in flow.tools)]) if flow else "Yosys"
    lines = {
        "FPGA": f"{board.chip} {board.chip.package}, {board.family.title}: {cells}",
        " ": f"({part.source})",
        "clock": f"{board.clock.engine_hz / 1e6:g} MHz, of an oscillator of "
        f"{board.clock.oscillator_hz / 1e6:g}: {board.clock.source}",
        "memory": f"{memory.kind}: {memory.reached_bytes_s / 1e9:.4g} GB/s of "
        f"{memory.peak_bytes_s / 1e9:.4g} reached by {memory.controller}",
        "  ": f"({memory.source})",
        "link": f"{link.kind}, {link.bytes_s / 1e6:.4g} MB/s, {link.round_trip_s * 1e3:g} ms there "
        f"and back",
        "   ": f"({link.source})",
        **({"ethernet": _network(board.ethernet)} if board.ethernet else {}),
        "engine": json.dumps(engine),
        "tools": tools if flow else f"{tools}, which counts cells; nothing is placed here",
        "design": board.lacking or "summand generate, summand build",
    }
    typer.echo(f"{board.name}: {board.title}")
    for name, text in lines.items():
        typer.echo(f"  {name:9}{text}")


def _network(ethernet: "BoardEthernet") -> str:
    return (
        f"udp:{ethernet.ip_address}:{ethernet.port} if built with --ethernet, "
        f"{ethernet.mac_address}: {ethernet.source}"
    )
