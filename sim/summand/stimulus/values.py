"""Random integers that reach the corners of fixed-width arithmetic."""

import numpy as np
import numpy.typing as npt

__all__ = ["plane_words", "signed_values"]


def signed_values(rng: np.random.Generator, bits: int, count: int) -> npt.NDArray[np.int64]:
    """Return ``count`` integers of ``bits`` bits, two's complement, in random order.

    One in four is a corner (0, 1, -1, the ends and their neighbours), the magnitudes of the others
    are log-uniform. Uniform values of a wide type nearly all saturate a narrow output, and a test
    on them passes with a wrong multiplier.
    """
    top = 1 << (bits - 1)
    corners = rng.choice(np.array([0, 1, -1, top - 1, -top, -top + 1]), count)
    magnitude = np.exp2(rng.uniform(0, bits - 1, count)).astype(np.int64)
    values = np.where(rng.random(count) < 0.5, magnitude, -magnitude)
    values = np.where(rng.random(count) < 0.25, corners, values)
    return np.clip(values, -top, top - 1)


def plane_words(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return random bytes of ``shape``; along the first axis some are all 0 and some all 1."""
    words = rng.integers(0, 256, shape, np.uint8)
    kind = rng.random(shape[0])
    words[kind < 0.1] = 0x00
    words[kind > 0.9] = 0xFF
    return words
