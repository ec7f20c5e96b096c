"""The engine's arithmetic as pure functions of integer arrays.

Everything an engine computes is here; :mod:`summand.golden.engine` only moves data. The functions
are exact for every input in the ranges they state, on every machine.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["accumulate", "exact_product", "requantise", "wrap"]

#: Every integer up to this magnitude is a float32.
_FLOAT32_EXACT = 1 << 24


def wrap(values: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
    """Return the low ``bits`` bits (1 to 62) of int64 values, read as two's complement."""
    half = 1 << (bits - 1)
    return ((values + half) & ((1 << bits) - 1)) - half


def exact_product(
    x: npt.NDArray[np.integer], w: npt.NDArray[np.float32], *, act_bits: int, bits: int
) -> npt.NDArray[np.int64]:
    """Multiply activations by integer weights held as float32; no rounding happens.

    A product is at most ``2**(act_bits - 1) * 2**(bits - 1)`` in magnitude. The sum over K is
    cut where that bound times the number of terms reaches 2**24, so every partial sum that BLAS
    can form, in any order and with or without fused multiply-add, is an integer that float32 holds.
    Where one product can exceed that, float64 holds every sum.

    Parameters
    ----------
    x : integer array, shape ``[M, K]``
        Within ``act_bits`` (4 to 10) bits, two's complement.
    w : float32 array, shape ``[K, N]``
        Whole numbers within ``bits`` (1 to 17) bits, two's complement.

    Returns
    -------
    int64 array, shape ``[M, N]``
    """
    step = _FLOAT32_EXACT >> (act_bits - 1 + bits - 1)
    if not step:
        return (x.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)
    xf = x.astype(np.float32)
    total = (xf[:, :step] @ w[:step]).astype(np.int64)
    for k in range(step, len(w), step):
        total += (xf[:, k : k + step] @ w[k : k + step]).astype(np.int64)
    return total


def accumulate(
    acc: npt.NDArray[np.integer],
    sums: npt.NDArray[np.int64],
    *,
    clear: bool,
    shift: int,
    acc_bits: int,
) -> npt.NDArray[np.int64]:
    """Return ``wrap((acc << shift) + sums)``, or ``wrap(sums)`` with ``clear``.

    ``sums`` may be one slice's, or all of a walk up to its next border: addition and shift commute
    with the wrap, so wrapping once at the end equals wrapping after every slice. ``sums`` must stay
    below 2**61.
    """
    base = 0 if clear else acc.astype(np.int64) << shift
    return wrap(base + sums, acc_bits)


def requantise(
    acc: npt.NDArray[np.integer],
    mult: npt.NDArray[np.integer],
    shift: npt.NDArray[np.integer],
    bits: int,
) -> npt.NDArray[np.int64]:
    """Scale accumulators to ``bits`` bits: ``(acc * mult + 2**(shift - 1)) >> shift``, saturated.

    Halves round towards plus infinity; ``>>`` rounds towards minus infinity.

    Parameters
    ----------
    acc : integer array, shape ``[M, N]``
        Within 32 bits, two's complement.
    mult, shift : integer arrays, shape ``[N]``
        0 to 65535, and 1 to 47, per column.

    Returns
    -------
    int64 array, shape ``[M, N]``
        Within ``bits``, two's complement.
    """
    mult, shift = np.asarray(mult, np.int64), np.asarray(shift, np.int64)
    half = np.int64(1) << (shift - 1)
    scaled = (np.asarray(acc, np.int64) * mult + half) >> shift
    top = (1 << (bits - 1)) - 1
    return np.clip(scaled, -top - 1, top)
