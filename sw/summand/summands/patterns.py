"""N:M patterns as fields, options and limits of summands."""

from typing import Any

from summand.isa import EngineConfig
from summand.isa.limits import SPARSE_BLOCKS
from summand.isa.patterns import SparsePattern
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


def parse_pattern(text: str) -> SparsePattern | None:
    """Read the value of an option; raises :class:`LayerError`."""
    if text == NO_PATTERN:
        return None
    kept, colon, block = text.partition(":")
    if not (colon and kept.isdecimal() and block.isdecimal() and len(text) < 8):
        raise LayerError(f"a pattern must be {NO_PATTERN}, or two whole numbers as in 2:4")
    return _checked(int(kept), int(block))


def pattern_of(kept: int, block: int) -> SparsePattern | None:
    """Return the pattern of two fields, both 0 without one; raises :class:`LayerError`."""
    return _checked(kept, block) if kept or block else None


def _checked(kept: int, block: int) -> SparsePattern:
    if not block or block not in SPARSE_BLOCKS:
        *some, last = (size for size in SPARSE_BLOCKS if size)
        raise LayerError(f"block must be {', '.join(map(str, some))} or {last}, not {block}")
    if not 1 <= kept < block:
        raise LayerError(f"kept must be 1 to {block - 1} for blocks of {block}, not {kept}")
    return SparsePattern(kept=kept, block=block)


def kept_and_block(pattern: SparsePattern | None) -> tuple[int, int]:
    """Undo :func:`pattern_of`."""
    return (pattern.kept, pattern.block) if pattern else (0, 0)


def check_blocks(option: str, pattern: SparsePattern | None, in_features: int) -> None:
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
