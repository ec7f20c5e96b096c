"""Engines by name: the configurations that come with Summand, and those of the boards."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from summand.boards.library import find_board, packaged_boards
from summand.isa import ConfigError, EngineConfig

__all__ = ["Named", "configuration_names", "find_configuration"]

_FOLDER = files("summand.boards") / "configs"


@dataclass(frozen=True)
class Named:
    """A configuration, and what people call it."""

    name: str
    config: EngineConfig


def configuration_names() -> tuple[str, ...]:
    """Return the names that :func:`find_configuration` knows, those of the boards last."""
    packaged = (Path(file.name) for file in _FOLDER.iterdir())
    return (*sorted(path.stem for path in packaged if path.suffix == ".json"), *packaged_boards())


def find_configuration(text: str) -> Named:
    """Return what ``text`` names: an engine of Summand's or of a board, else a JSON file.

    A board's TOML file stands for its engine.

    Raises
    ------
    ConfigError
        If there is no such name or file, or the file is no configuration.
    """
    if board := packaged_boards().get(text):
        return Named(text, board.engine)
    if text in configuration_names():
        return Named(text, EngineConfig.from_json((_FOLDER / f"{text}.json").read_text()))
    path = Path(text)
    if path.suffix == ".toml":
        board = find_board(text)
        return Named(board.name, board.engine)
    if path.suffix == ".json" or path.name != text or path.exists():
        return Named(path.name, EngineConfig.load(path))
    raise ConfigError(
        f"no configuration is called {text!r}; give a JSON file, or one of "
        f"{', '.join(configuration_names())}"
    )
