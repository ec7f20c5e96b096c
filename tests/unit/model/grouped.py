"""Groups of channels for tests."""

import numpy as np
from hypothesis import strategies as st

from summand.model import ChannelGroups

__all__ = ["grouped", "shifted"]


@st.composite
def grouped(draw: st.DrawFn, features: int, *, block: int = 1) -> ChannelGroups:
    """Draw groups of ``features`` channels that begin at multiples of ``block``."""
    places = range(block, features, block)
    most = min(len(places), 5)
    firsts = draw(st.sets(st.sampled_from(places), min_size=1, max_size=most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    borders = tuple((first, draw(st.integers(1, 3))) for first in sorted(firsts))
    centre = rng.normal(size=features).astype(np.float32) if draw(st.booleans()) else None
    return ChannelGroups(rng.permutation(features).astype(np.int32), borders, centre)


def shifted(groups: ChannelGroups, x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Multiply grouped tokens by a matrix, one feature after another, shifting at borders."""
    acc = np.zeros((len(x), matrix.shape[1]), np.int64)
    shifts = dict(groups.borders)
    for k in range(len(matrix)):
        acc = (acc << shifts.get(k, 0)) + x[:, k : k + 1].astype(np.int64) * matrix[k]
    return acc
