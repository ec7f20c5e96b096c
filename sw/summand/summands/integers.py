"""Integers that every summand is made of: their ranges, and how activations become some."""

import numpy as np
import numpy.typing as npt

from summand.isa import limits
from summand.summands.errors import LayerError

__all__ = ["act_limit", "check_matrix", "magnitudes", "quantise", "requantise"]

#: Smallest activation scale: a row of zeros has a scale too, and dividing by it is exact.
_TINY = np.float32(np.finfo(np.float32).tiny)


def act_limit(act_bits: int) -> int:
    """Return the largest magnitude the host sends: activations are symmetric."""
    return (1 << (act_bits - 1)) - 1


def quantise(
    x: npt.NDArray[np.float32], act_bits: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Turn tokens into integers, each with a scale of its own.

    Rounds halves to even. Every step is one correctly rounded float32 operation, so that any
    implementation of IEEE 754 gives the same integers.

    Parameters
    ----------
    x : float32 array, shape ``[M, K]``
        Finite.
    act_bits : int
        4 to 10.

    Returns
    -------
    xq : int16 array, shape ``[M, K]``
        Within plus or minus :func:`act_limit`.
    s_x : float32 array, shape ``[M, 1]``
        ``xq * s_x`` is nearly ``x``.

    Raises
    ------
    LayerError
        If an activation is not finite.
    """
    x = np.asarray(x, np.float32)
    limit = np.float32(act_limit(act_bits))
    absmax = np.max(np.abs(x), axis=1, keepdims=True, initial=0)
    if not np.isfinite(absmax).all():
        raise LayerError("activations must be finite; the layers before this one overflowed")
    s_x = np.maximum(absmax / limit, _TINY)
    return np.clip(np.rint(x / s_x), -limit, limit).astype(np.int16), s_x


def requantise(
    acc: npt.NDArray[np.integer],
    mult: npt.NDArray[np.integer],
    shift: npt.NDArray[np.integer],
    act_bits: int,
) -> npt.NDArray[np.int64]:
    """Scale accumulators ``[M, R]`` by ``mult / 2**shift`` of each column to ``act_bits``.

    Rounds halves towards plus infinity, then saturates; exact for 32-bit accumulators.
    """
    half = np.left_shift(np.int64(1), shift.astype(np.int64) - 1)
    scaled = (acc.astype(np.int64) * mult.astype(np.int64) + half) >> shift.astype(np.int64)
    return np.clip(scaled, -act_limit(act_bits) - 1, act_limit(act_bits))


def check_matrix(what: str, value: object, bits: int, bits_name: str) -> None:
    """Raise :class:`LayerError` unless ``value`` is an int8 matrix that fits ``bits``."""
    if not isinstance(value, np.ndarray) or value.dtype != np.int8 or value.ndim != 2:
        got = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else value
        raise LayerError(f"{what} must be a two-dimensional int8 array, not {got!r}")
    if not isinstance(bits, int) or isinstance(bits, bool) or bits not in limits.PLANES:
        raise LayerError(f"{bits_name} must be {limits.PLANES}, not {bits!r}")
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if value.size and (value.min() < low or value.max() > high):
        raise LayerError(
            f"{what} must be {low} to {high} to fit {bits_name} {bits}, "
            f"not {value.min()} to {value.max()}"
        )


def magnitudes(
    matrix: npt.NDArray[np.integer], lift: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """Sum the magnitudes of ``[K, N]`` over K, some rows at a time; returns ``[N]``.

    ``lift``, ``[K]``, is what each row is multiplied by, 1 without it.
    """
    total = np.zeros(matrix.shape[1], np.int64)
    for start in range(0, len(matrix), 256):
        rows = np.abs(matrix[start : start + 256].astype(np.int32))
        if lift is None:
            total += rows.sum(axis=0, dtype=np.int64)
        else:
            total += lift[start : start + 256] @ rows
    return total
