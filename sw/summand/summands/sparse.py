"""Matrices with N:M patterns: what they may hold, and how kept weights lie side by side."""

import numpy as np
import numpy.typing as npt

from summand.isa.patterns import SparsePattern
from summand.summands.errors import LayerError

__all__ = ["check_sparse", "is_sparse", "kept_values", "spread_values"]


def is_sparse(matrix: npt.NDArray[np.integer], pattern: SparsePattern) -> bool:
    """Whether a matrix ``[K, N]`` has a pattern along K."""
    k, n = matrix.shape
    if k % pattern.block:
        return False
    count = np.count_nonzero(matrix.reshape(-1, pattern.block, n), axis=1)
    return bool((count <= pattern.kept).all())


def check_sparse(what: str, matrix: npt.NDArray[np.int8], pattern: SparsePattern) -> None:
    """Raise :class:`LayerError` unless a matrix ``[K, N]`` has a pattern along K."""
    k, n = matrix.shape
    if k % pattern.block:
        raise LayerError(
            f"{what} of pattern {pattern} must have a multiple of {pattern.block} input features, "
            f"not {k}"
        )
    count = np.count_nonzero(matrix.reshape(-1, pattern.block, n), axis=1)
    if count.size and count.max() > pattern.kept:
        block, column = np.argwhere(count > pattern.kept)[0]
        raise LayerError(
            f"{what} of pattern {pattern} must have {pattern.kept} weights other than 0 at most "
            f"among input features {block * pattern.block} to "
            f"{(block + 1) * pattern.block - 1} of output {column}, not {count[block, column]}"
        )


def kept_values(
    matrix: npt.NDArray[np.int8], pattern: SparsePattern
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Take the kept weights out of a matrix ``[K, N]`` that has a pattern.

    Returns
    -------
    values : int8 array, shape ``[K / block * kept, N]``
        Block after block, in each in the order of their positions. A block with fewer weights
        other than 0 keeps some that are 0, the first of them.
    positions : int8 array, shape ``[K / block * kept, N]``
        Of these in their block, from 0; ascending in each block.
    """
    k, n = matrix.shape
    cut = matrix.reshape(k // pattern.block, pattern.block, n)
    order = np.argsort(cut == 0, axis=1, kind="stable")[:, : pattern.kept]
    order = np.sort(order, axis=1)
    values = np.take_along_axis(cut, order, axis=1)
    return values.reshape(-1, n), order.astype(np.int8).reshape(-1, n)


def spread_values(
    values: npt.NDArray[np.int8], positions: npt.NDArray[np.integer], pattern: SparsePattern
) -> npt.NDArray[np.int8]:
    """Undo :func:`kept_values`.

    Raises
    ------
    ValueError
        If positions leave their block, or do not ascend in it.
    """
    n = values.shape[1]
    at = positions.reshape(-1, pattern.kept, n).astype(np.int64)
    if at.size and (at.min() < 0 or at.max() >= pattern.block):
        raise ValueError(
            f"positions must be 0 to {pattern.block - 1} in blocks of {pattern.block}, "
            f"not {at.min()} to {at.max()}"
        )
    if (np.diff(at, axis=1) <= 0).any():
        raise ValueError(f"positions must ascend within each block of {pattern.block}")
    out = np.zeros((len(at), pattern.block, n), np.int8)
    np.put_along_axis(out, at, values.reshape(at.shape), axis=1)
    return out.reshape(-1, n)
