"""Engines by name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from summand.boards.board import BOARDS
from summand.isa import ConfigError, EngineConfig
from summand.runtime import DEFAULT_CONFIG

__all__ = ["CONFIGURATIONS", "DEFAULT_NAMES", "Named", "choose"]


@dataclass(frozen=True)
class Named:
    """A configuration, and what people call it."""

    name: str
    config: EngineConfig


#: Engines of SmolLM2's sizes with a 256-bit stream, and those of the boards. Where there are many
#: rows, two tables share a writer: a twentieth of their logic, for a hundredth of the cycles.
CONFIGURATIONS = {
    named.name: named
    for named in (
        Named("rows-1", DEFAULT_CONFIG),
        *(Named(f"rows-{n}", replace(DEFAULT_CONFIG, rows=n, table_share=2)) for n in (4, 8)),
        *(Named(board.name, board.engine) for board in BOARDS.values()),
    )
}

#: What is compared where nothing is chosen.
DEFAULT_NAMES = ("rows-1", "rows-4", "rows-8")


def choose(wanted: Sequence[str]) -> tuple[Named, ...]:
    """Return the configurations that ``wanted`` names: names from above, or JSON files.

    Raises
    ------
    ConfigError
        For an unknown name, a file that cannot be read, or a configuration given twice.
    """
    chosen: dict[str, Named] = {}
    for text in wanted or DEFAULT_NAMES:
        named = _find(text)
        if twin := chosen.get(named.config.digest):
            raise ConfigError(
                f"{text!r} and {twin.name!r} are the same configuration; give each once"
            )
        if any(named.name == other.name for other in chosen.values()):
            named = Named(text, named.config)  # two files of one name
        chosen[named.config.digest] = named
    return tuple(chosen.values())


def _find(text: str) -> Named:
    if text in CONFIGURATIONS:
        return CONFIGURATIONS[text]
    path = Path(text)
    if path.suffix == ".json" or path.exists():
        return Named(path.name, EngineConfig.load(path))
    raise ConfigError(
        f"no configuration is called {text!r}; give a JSON file, or one of "
        f"{', '.join(CONFIGURATIONS)}"
    )
