"""The files that make an engine's Verilog an IP block of Vivado's."""

from collections.abc import Mapping

from summand.boards.board import Board
from summand.boards.vivado.component import component, gui
from summand.boards.vivado.design import DESIGN_FILE, design
from summand.boards.vivado.interfaces import IP_MODULE
from summand.boards.vivado.wrapper import wrapper
from summand.isa import EngineConfig

__all__ = ["vivado_files"]

_WRAPPER_FILE, _GUI_FILE = f"{IP_MODULE}.v", f"{IP_MODULE}_gui.tcl"


def vivado_files(
    config: EngineConfig, engine_file: str, board: Board | None = None
) -> Mapping[str, tuple[str, str]]:
    """Return names of files, and of each its text and what it is, for people.

    Parameters
    ----------
    config : EngineConfig
        The engine's.
    engine_file : str
        Its Verilog, beside these files.
    board : Board, optional
        A board whose file has a ``[vivado]`` gets a block design.
    """
    verilog = (engine_file, _WRAPPER_FILE)
    files = {
        "component.xml": (component(config, verilog, _GUI_FILE), "IP block for Vivado's catalogue"),
        _WRAPPER_FILE: (wrapper(config), f"the IP block's Verilog, module {IP_MODULE}"),
        _GUI_FILE: (gui(), "the IP block's page in Vivado"),
    }
    if board and board.vivado:
        files[DESIGN_FILE] = (design(board, config), f"Vivado project for {board.title}")
    return files
