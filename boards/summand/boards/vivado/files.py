"""The files that make an engine's Verilog an IP block of Vivado's."""

from collections.abc import Mapping

from summand.boards.board import Board
from summand.boards.vivado.component import component, gui
from summand.boards.vivado.design import DESIGN_FILE, design
from summand.boards.vivado.interfaces import ip_module
from summand.boards.vivado.wrapper import wrapper
from summand.rtl.feeds.block import AxiBlock

__all__ = ["vivado_files"]


def vivado_files(
    block: AxiBlock, engine_file: str, board: Board | None = None
) -> Mapping[str, tuple[str, str]]:
    """Return names of files, and of each its text and what it is, for people.

    Parameters
    ----------
    block : AxiBlock
        The engine's.
    engine_file : str
        Its Verilog, beside these files.
    board : Board, optional
        A board whose file has a ``[vivado]`` gets a block design.
    """
    name = ip_module(block)
    wrapper_file, gui_file = f"{name}.v", f"{name}_gui.tcl"
    described = component(block, (engine_file, wrapper_file), gui_file)
    files = {
        "component.xml": (described, "IP block for Vivado's catalogue"),
        wrapper_file: (wrapper(block), f"the IP block's Verilog, module {name}"),
        gui_file: (gui(), "the IP block's page in Vivado"),
    }
    if board and board.vivado:
        files[DESIGN_FILE] = (design(board, block), f"Vivado project for {board.title}")
    return files
