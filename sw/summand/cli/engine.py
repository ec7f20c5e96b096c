"""Options that choose an engine to be made: a configuration, or a board's own."""

from typing import TYPE_CHECKING, Annotated

import typer

from summand.isa import EngineConfig, SummandError

if TYPE_CHECKING:
    from summand.boards.board import Board
    from summand.families.base import FpgaFamily
    from summand.rtl.technology import Technology

__all__ = [
    "EngineBoardOption",
    "EngineOption",
    "TechnologyOption",
    "choose_engine",
    "choose_technology",
]

EngineOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="NAME|FILE",
        help="The engine's configuration: one of Summand's, such as smollm2, or a JSON file.",
    ),
]
EngineBoardOption = Annotated[
    str | None,
    typer.Option(
        "--board",
        metavar="NAME|FILE",
        help="A board, such as ulx3s-85f, or a TOML file; its engine too, unless --config is "
        "given.",
    ),
]
TechnologyOption = Annotated[
    str | None,
    typer.Option(
        metavar="generic|ecp5",
        help="Whose primitives the Verilog names; without it those of the FPGA that it is for, or "
        "no vendor's.",
    ),
]


def choose_engine(
    config: str | None, board: str | None, done: str
) -> "tuple[EngineConfig, Board | None]":
    """Return the engine of ``config``, or else of the board, and the board.

    ``done`` says how the engine is used, for the :class:`SummandError` where neither is given.
    """
    from summand.boards.configurations import find_configuration
    from summand.boards.library import find_board

    found = find_board(board) if board else None
    if config:
        return find_configuration(config).config, found
    if found:
        return found.engine, found
    raise SummandError(
        f"give --config NAME|FILE or --board NAME|FILE: which engine is to be {done}?"
    )


def choose_technology(wanted: str | None, family: "FpgaFamily | None") -> "Technology":
    """Return the technology that is asked for, else the family's, else the generic one.

    Raises
    ------
    SummandError
        If there is no such technology, or the family does not have its primitives.
    """
    from summand.rtl.technology import Technology

    own = family.technology if family else Technology.GENERIC
    if wanted is None:
        return own
    try:
        chosen = Technology(wanted)
    except ValueError:
        names = ", ".join(technology.value for technology in Technology)
        raise SummandError(f"--technology must be one of {names}, not {wanted!r}") from None
    if family and chosen not in (own, Technology.GENERIC):
        raise SummandError(
            f"Verilog of --technology {wanted} names primitives that {family.title} does not have; "
            f"give --technology {Technology.GENERIC.value}"
        )
    return chosen
