"""Load a bitstream onto a board, by openFPGALoader."""

import re
import shlex
import subprocess
from pathlib import Path

from summand.boards.board import Board
from summand.synth.tools import LOADER, ToolError, find_tool

__all__ = ["load", "load_arguments"]

#: Seconds in which a bitstream must be loaded; it takes a few.
_PATIENCE_S = 300

_COLOURS = re.compile(r"\x1b\[[\d;]*m")


def load_arguments(board: Board, bitstream: Path) -> tuple[str, ...]:
    """Return what openFPGALoader is called with.

    The FPGA loses the design when it loses power: nothing is written to the board's flash memory.

    Raises
    ------
    ConfigError
        If Summand makes no design for the board.
    """
    return (*shlex.split(board.designed().loader), str(bitstream))


def load(board: Board, bitstream: Path) -> str:
    """Load a bitstream; returns the version of the openFPGALoader that did.

    Raises
    ------
    ToolError
        If there is no openFPGALoader, or it fails, such as where no board is attached; with all
        that it said of that.
    """
    tool = find_tool(LOADER.name)
    arguments = load_arguments(board, bitstream)
    try:
        done = subprocess.run(
            [*tool.command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(
            f"{tool.name} {tool.version} has not loaded {bitstream} in {_PATIENCE_S} s; unplug the "
            f"board, plug it in, and try again"
        ) from None
    except OSError as e:
        raise ToolError(f"{tool.name} {tool.version} does not start: {e}") from None
    if done.returncode:
        said = [*filter(None, map(str.strip, _COLOURS.sub("", done.stderr).splitlines()))]
        raise ToolError(
            f"{tool.name} {tool.version} could not load {bitstream} onto {board.name}: "
            f"{'; '.join(said) or f'it ended with status {done.returncode}'}"
        )
    return tool.version
