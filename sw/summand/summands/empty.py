"""Runs of input features whose weights are all 0: their slices are not sent."""

import numpy as np
import numpy.typing as npt

from summand.schedule.fit import LEAST_DEPTH
from summand.schedule.terms import Runs
from summand.summands.errors import LayerError

__all__ = ["check_empty", "check_runs", "empty_runs"]


def empty_runs(matrix: npt.NDArray[np.integer]) -> Runs:
    """Return the runs of empty rows of a matrix ``[K, N]``, in whole slices of the shortest.

    Each begins with a multiple of the shortest slice that an engine may have, and ends with one or
    with the matrix.
    """
    k = len(matrix)
    starts = np.arange(0, k, LEAST_DEPTH)
    used = np.logical_or.reduceat(matrix.any(axis=1), starts)
    edges = np.flatnonzero(np.diff(np.r_[True, used, True]))
    bounds = np.minimum(edges * LEAST_DEPTH, k).tolist()
    return tuple(zip(bounds[::2], bounds[1::2], strict=True))


def check_runs(runs: Runs) -> None:
    """Raise :class:`LayerError` for what :func:`empty_runs` returns of no matrix."""
    before = -1
    for run in runs:
        if len(run) != 2:
            raise LayerError(f"a run in empty must be two features, not {list(run)!r}")
        first, stop = run
        if not before < first < stop or first % LEAST_DEPTH:
            raise LayerError(
                f"runs in empty must ascend, from a multiple of {LEAST_DEPTH} each, not {first} to "
                f"{stop} after {max(before, 0)}"
            )
        before = stop


def check_empty(said: Runs, matrix: npt.NDArray[np.integer]) -> None:
    """Raise :class:`LayerError` unless a matrix ``[K, N]`` has the empty runs that are said."""
    if (found := empty_runs(matrix)) != said:
        raise LayerError(f"empty must be {_listed(found)} as the weights are, not {_listed(said)}")


def _listed(runs: Runs) -> str:
    """Name a few runs."""
    more = f" and {len(runs) - 4} more" if len(runs) > 4 else ""
    return (", ".join(f"{a} to {b}" for a, b in runs[:4]) or "no features") + more
