"""The engine's checks of commands: one function for each thing that a command names.

Each raises :class:`~summand.isa.CommandError`. In which order they are called decides which error
is reported.
"""

from summand.isa.config import EngineConfig
from summand.isa.errors import CommandError, ErrorCode
from summand.isa.limits import BORDERS, PLANES, SEGMENTS
from summand.isa.results import Extremes

__all__ = [
    "check_bins",
    "check_border_count",
    "check_group",
    "check_limbs",
    "check_operand",
    "check_place",
    "check_requantised",
    "check_rows",
    "check_segment_count",
    "check_slices",
    "check_stored",
    "check_tiles",
]


def check_rows(rows: int, config: EngineConfig) -> None:
    """Refuse no token rows, and more than the engine has."""
    if not 1 <= rows <= config.rows:
        raise CommandError(ErrorCode.ROWS)


def check_slices(first: int, slices: int, config: EngineConfig) -> None:
    """Refuse no slices, and any beyond the activation memory."""
    if slices < 1 or first + slices > config.act_depth:
        raise CommandError(ErrorCode.ACTIVATIONS)


def check_tiles(tile: int, tiles: int, config: EngineConfig) -> None:
    """Refuse no tiles, and any beyond the accumulators."""
    if tiles < 1 or tile + tiles > config.acc_depth:
        raise CommandError(ErrorCode.TILES)


def check_bins(tiles: int, config: EngineConfig) -> None:
    """Refuse tiles that are not whole bins."""
    if tiles % config.bin_tiles:
        raise CommandError(ErrorCode.TILES)


def check_requantised(tiles: int, config: EngineConfig) -> None:
    """Refuse more output features than the engine has requantise parameters for."""
    if tiles * config.cols > config.requant_depth:
        raise CommandError(ErrorCode.TILES)


def check_place(planes: int, lane: int, rows: int, config: EngineConfig) -> None:
    """Refuse weights of no 1 to 8 planes, and rows beyond a slice's last lane."""
    if planes not in PLANES or lane + rows > config.depth:
        raise CommandError(ErrorCode.OPERAND)


def check_operand(first: int, words: int, config: EngineConfig) -> None:
    """Refuse plane words beyond the operand memory."""
    if first + words > config.operand_depth:
        raise CommandError(ErrorCode.OPERAND)


def check_stored(stored: bool, config: EngineConfig) -> None:
    """Refuse plane words out of a memory that the engine does not have."""
    if stored and not config.operand_depth:
        raise CommandError(ErrorCode.RESERVED)


def check_limbs(limbs: int, extremes: Extremes, config: EngineConfig) -> None:
    """Refuse no limbs, and more than an accumulator has; any in an engine that has none.

    Extremes have none, and are refused in an engine that has no bins.
    """
    if extremes and (limbs or not config.bin_tiles):
        raise CommandError(ErrorCode.RESERVED)
    if not extremes and ((limbs > 0) != (config.limb_bits > 0) or limbs > config.acc_limbs):
        raise CommandError(ErrorCode.RESERVED)


def check_group(group: int, config: EngineConfig) -> None:
    """Refuse a group in an engine that has no scales."""
    if group and not config.scale_bits:
        raise CommandError(ErrorCode.RESERVED)


def check_border_count(count: int, config: EngineConfig) -> None:
    """Refuse more borders than the engine keeps, and any in an engine that has none."""
    if count not in BORDERS or (count and not config.border_shift):
        raise CommandError(ErrorCode.RESERVED)


def check_segment_count(count: int) -> None:
    """Refuse a GEMM without segments, and one with more than the engine keeps."""
    if count not in SEGMENTS:
        raise CommandError(ErrorCode.SEGMENTS)
