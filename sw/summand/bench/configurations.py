"""The engines that are compared."""

from collections.abc import Sequence

from summand.boards.configurations import Named, find_configuration
from summand.isa import ConfigError

__all__ = ["DEFAULT_NAMES", "choose"]

#: The engines that are compared by default.
DEFAULT_NAMES = ("smollm2", "rows-4", "rows-8")


def choose(wanted: Sequence[str]) -> tuple[Named, ...]:
    """Return the configurations that ``wanted`` names, or JSON files.

    Raises
    ------
    ConfigError
        For an unknown name, a file that cannot be read, or a configuration given twice.
    """
    chosen: dict[str, Named] = {}
    for text in wanted or DEFAULT_NAMES:
        named = find_configuration(text)
        if twin := chosen.get(named.config.digest):
            raise ConfigError(
                f"{text!r} and {twin.name!r} are the same configuration; give each once"
            )
        if any(named.name == other.name for other in chosen.values()):
            named = Named(text, named.config)  # two files of one name
        chosen[named.config.digest] = named
    return tuple(chosen.values())
