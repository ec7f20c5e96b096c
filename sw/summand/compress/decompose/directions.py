"""The directions that tokens are sketched with, from those that a calibration text had."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Directions", "loud_channels", "normal_step", "sketch_directions"]

_Matrix = npt.NDArray[np.float64]

#: Of the mean variance: what keeps a matrix that is singular from being one.
_DAMPING = 1e-6

#: The step of least square error of a normal distribution's levels, in its standard deviations.
_STEPS = {1: 1.596, 2: 0.996, 3: 0.586, 4: 0.335, 5: 0.188, 6: 0.104, 7: 0.057, 8: 0.031}


#: A channel is loud whose root mean square is so many times the median's: in tokens as weights it
#: would leave the median two bits less.
_LOUD = 4

#: The most that are loud: one in so many.
_SHARE = 16


class Directions(NamedTuple):
    """What tokens of an input are sketched with.

    Parameters
    ----------
    vectors : int8 array, shape ``[K, Q]``
        The directions, the most important first.
    scale : float32 array, shape ``[Q]``
        Their units.
    loud : tuple of int
        Channels that go around them, ascending.
    """

    vectors: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]
    loud: tuple[int, ...]


def loud_channels(squares: npt.NDArray[np.floating]) -> tuple[int, ...]:
    """Return which channels are loud, ascending, by their mean squares ``[K]``."""
    loud = np.flatnonzero(squares > _LOUD**2 * np.median(squares))
    loudest = loud[np.argsort(-squares[loud], kind="stable")]
    return tuple(sorted(loudest[: len(squares) // _SHARE].tolist()))


def normal_step(bits: int) -> float:
    """Return the best step between the levels of ``bits`` bits for normal values of variance 1."""
    return _STEPS[bits]


def sketch_directions(
    matrix: _Matrix, moments: _Matrix, sensitivity: _Matrix, count: int, bits: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return the directions in which outputs, by their sensitivity, vary most.

    Of the outputs ``X W`` of a text, each times the root of its sensitivity, the first ``count``
    left singular vectors are ``X D``.

    Parameters
    ----------
    matrix : float64 array, shape ``[K, N]``
        The weights of all layers that share the input.
    moments : float64 array, shape ``[K, K]``
        The input's second moments.
    sensitivity : float64 array, shape ``[N]``
        What a square error of each output costs.
    count : int
        Directions, at most K.
    bits : int
        Bits of a direction's elements, two's complement.

    Returns
    -------
    directions : int8 array, shape ``[K, count]``
        The most important first.
    scale : float32 array, shape ``[count]``
        Their units.
    """
    metric = (matrix * sensitivity) @ matrix.T
    metric += np.eye(len(metric)) * (np.trace(metric) / len(metric) * _DAMPING + 1e-300)
    root = np.linalg.cholesky(metric)
    _, vectors = np.linalg.eigh(root.T @ moments @ root)
    found = root @ vectors[:, ::-1][:, :count]
    spread = np.sqrt(np.square(found).mean(axis=0))
    unit = np.maximum(spread * normal_step(bits), np.finfo(np.float32).tiny)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    levels = np.clip(np.rint(found / unit), low, high)
    return levels.astype(np.int8), unit.astype(np.float32)
