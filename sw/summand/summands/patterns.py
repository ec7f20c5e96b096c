"""N:M patterns as fields, options and limits of summands."""

from typing import Any

from summand.isa import EngineConfig
from summand.isa.errors import ConfigError
from summand.isa.patterns import Pattern
from summand.summands.choosing import refuse
from summand.summands.errors import LayerError, SolveError

__all__ = [
    "NO_PATTERN",
    "SCORES",
    "check_blocks",
    "check_engine",
    "fits",
    "kept_and_block",
    "parse_pattern",
    "pattern_of",
]

#: What chooses the weights that are kept: see :mod:`summand.summands.pruning`.
SCORES = ("magnitude", "wanda", "sparsegpt")

#: The value of an option for no pattern at all.
NO_PATTERN = "none"


def parse_pattern(text: str) -> Pattern | None:
    """Read the value of an option; raises :class:`~summand.isa.ConfigError`."""
    return None if text == NO_PATTERN else Pattern.parse(text)


def pattern_of(kept: int, block: int) -> Pattern | None:
    """Return the pattern of two fields, both 0 without one; raises :class:`LayerError`."""
    if not kept and not block:
        return None
    try:
        return Pattern(kept, block)
    except ConfigError as e:
        raise LayerError(str(e)) from None


def kept_and_block(pattern: Pattern | None) -> tuple[int, int]:
    """Undo :func:`pattern_of`."""
    return (pattern.kept, pattern.block) if pattern else (0, 0)


def check_blocks(option: str, pattern: Pattern | None, in_features: int) -> None:
    """Raise :class:`SolveError`, naming an option, if inputs are no whole blocks of its pattern."""
    if pattern is not None and in_features % pattern.block:
        raise SolveError(
            f"{option} {pattern} needs a multiple of {pattern.block} input features, "
            f"not {in_features}"
        )


def fits(text: str, in_features: int) -> bool:
    """Whether an option's value is a pattern that so many inputs are whole blocks of."""
    pattern = parse_pattern(text)
    return pattern is None or not in_features % pattern.block


def check_engine(options: Any, name: str, engine: EngineConfig) -> None:
    """Raise :class:`SolveError` if an engine cannot read the pattern that an option names.

    Smaller blocks than the engine's are read as parts of its own.
    """
    pattern = parse_pattern(getattr(options, name))
    if pattern is None:
        return
    if not engine.sparse_block:
        refuse(options, name, f"{NO_PATTERN} on an engine without sparse_block")
    if engine.sparse_block % pattern.block:
        refuse(options, name, f"of blocks of the engine's sparse_block, {engine.sparse_block}")
