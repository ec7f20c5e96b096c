"""Random choices that take the ends of a range as often as all values between."""

import numpy as np

from summand.isa import EngineConfig
from summand.isa.borders import Border
from summand.isa.limits import BORDERS, SEGMENTS
from summand.isa.results import Extremes

__all__ = ["between", "borders", "extremes", "group", "limbs", "segment_count", "span", "tag"]


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """Return an integer from ``low`` to ``high``: half the time an end, or beside one."""
    if rng.random() < 0.5:
        return int(rng.integers(low, high + 1))
    corner = int(rng.choice([low, high, low, high, low + 1, high - 1]))
    return min(max(corner, low), high)


def span(rng: np.random.Generator, limit: int, longest: int) -> tuple[int, int]:
    """Return ``(start, count)`` within ``limit``, with a count of 1 to ``longest``."""
    count = between(rng, 1, min(limit, longest))
    return between(rng, 0, limit - count), count


def segment_count(rng: np.random.Generator) -> int:
    """Return how many segments a table has."""
    return int(rng.choice([1, 1, 2, 3, SEGMENTS.high, int(rng.integers(1, SEGMENTS.high + 1))]))


def borders(rng: np.random.Generator, config: EngineConfig, slices: int) -> tuple[Border, ...]:
    """Return a GEMM's borders: half the time none, else any number, at any slices."""
    if not config.border_shift or rng.random() < 0.5:
        return ()
    count = between(rng, 1, min(slices, BORDERS.high))
    places = sorted(rng.choice(slices, count, replace=False).tolist())
    return tuple(Border(place, between(rng, 1, config.border_shift)) for place in places)


def group(rng: np.random.Generator, config: EngineConfig, slices: int) -> int:
    """Return a GEMM's group: about its slices, about ``act_depth``, or any 16 bits.

    A group longer than any walk means the same as one of the walk's length, whatever its low bits
    say; so a fourth of the choices has low bits that would cut the walk.
    """
    if not config.scale_bits:
        return 0
    if rng.random() < 0.25:
        bit = int(rng.integers(config.act_depth.bit_length(), 16))
        return 1 << bit | int(rng.integers(1, slices + 1))
    about = (slices, config.act_depth)
    corners = [
        0,
        1,
        0xFFFF,
        int(rng.integers(1 << 16)),
        *(n + d for n in about for d in (-1, 0, 1)),
    ]
    if rng.random() < 0.5:
        return int(rng.integers(slices + 2))
    return int(rng.choice(corners))


def extremes(rng: np.random.Generator, config: EngineConfig, tiles: int) -> tuple[Extremes, int]:
    """Return what a STORE of at most so many tiles sends, and of how many: extremes of bins."""
    whole = tiles - tiles % config.bin_tiles if config.bin_tiles else 0
    if not whole or rng.random() < 0.4:
        return Extremes.NONE, tiles
    return Extremes(int(rng.choice([Extremes.GREATEST, Extremes.LEAST]))), whole


def limbs(rng: np.random.Generator, config: EngineConfig) -> int:
    """Return a STORE's limbs: none in an engine without, else 1 to a whole accumulator's."""
    return between(rng, 1, config.acc_limbs) if config.limb_bits else 0


def tag(rng: np.random.Generator) -> int:
    """Return a tag."""
    return between(rng, 0, 0xFFFF)
