"""The payload of a walk: for each group of slices its scales, then plane words."""

from collections.abc import Sequence

from summand.isa.config import EngineConfig
from summand.isa.segments import Segment

__all__ = ["group_slices", "scale_beats", "walk_beats"]


def group_slices(slices: int, group: int) -> list[int]:
    """Return the slices of each group of a walk; a ``group`` of 0 is the whole walk."""
    step = group or max(slices, 1)
    return [min(step, slices - first) for first in range(0, slices, step)]


def scale_beats(segments: Sequence[Segment], config: EngineConfig) -> int:
    """Return the beats of one group's scales: of the scaled segments' tiles, in order."""
    tiles = sum(s.tiles for s in segments if s.scaled)
    return -(-tiles // config.scale_tiles) if tiles else 0


def walk_beats(
    slices: int, segments: Sequence[Segment], group: int, config: EngineConfig
) -> list[int]:
    """Return the beats of each group of a walk: its scales, and its plane words."""
    weights = sum(s.beats(config) for s in segments)
    scales = scale_beats(segments, config)
    return [scales + n * weights for n in group_slices(slices, group)]
