"""The boards that come with Summand, and those in files of their users."""

import functools
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from summand.boards.board import Board
from summand.families.toml import parse, read_toml
from summand.isa import ConfigError

__all__ = ["find_board", "packaged_boards"]

_SUFFIX = ".toml"


@functools.cache
def packaged_boards() -> Mapping[str, Board]:
    """Return the boards that come with Summand, by name."""
    library = files("summand.boards") / "library"
    found = sorted((file.name, file) for file in library.iterdir() if file.name.endswith(_SUFFIX))
    return {board.name: board for board in (_read(file) for _, file in found)}


def find_board(text: str) -> Board:
    """Return the board that ``text`` names: one of Summand's, else a TOML file.

    Raises
    ------
    ConfigError
        If there is no such name or file, or the file's values are missing, unknown or impossible.
    """
    known = packaged_boards()
    if text in known:
        return known[text]
    path = Path(text)
    if path.suffix == _SUFFIX or path.name != text or path.exists():
        return _read(path)
    raise ConfigError(
        f"no board is called {text!r}; give a TOML file, or one of {', '.join(known)}"
    )


def _read(file: Path | Traversable) -> Board:
    """Return the board in a file, whose name is the board's."""
    return parse(Board, {"name": file.name.removesuffix(_SUFFIX), **read_toml(file)}, str(file))
