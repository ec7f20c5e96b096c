"""An orthonormal basis of tokens, from sketches of them: what the host does in floating point."""

import numpy as np
import numpy.typing as npt

__all__ = ["basis_of", "orthonormal"]

_Matrix = npt.NDArray[np.float64]

#: Singular values below this share of the largest are rounding, not tokens.
_RANK = 1e-7


def orthonormal(columns: _Matrix, before: _Matrix | None = None) -> _Matrix:
    """Return an orthonormal basis of columns ``[M, r]``, at right angles to those before.

    Directions that are no more than rounding are left out, so it may have fewer columns.

    Parameters
    ----------
    columns : float64 array, shape ``[M, r]``
        Finite.
    before : float64 array, shape ``[M, s]``, optional
        Orthonormal. Taken away twice, because once leaves what rounding brings back.
    """
    most = np.linalg.norm(columns)
    if before is not None:
        for _ in range(2):
            columns = columns - before @ (before.T @ columns)
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > _RANK * most]


def basis_of(sketches: _Matrix, rank: int, before: _Matrix | None = None) -> _Matrix:
    """Return the directions among tokens in which their sketches are largest, mixed.

    Every column of the result has a like share of each direction: a Hadamard matrix mixes as many
    as a power of two allows, first the largest ones. So the rows of products with it are alike in
    size, and one scale suits what an engine makes of all of them.

    Parameters
    ----------
    sketches : float64 array, shape ``[M, q]``
        Of each token some products with fixed vectors.
    rank : int
        Columns of the basis at most.
    before : float64 array, shape ``[M, s]``, optional
        An orthonormal basis that the result is at right angles to.

    Returns
    -------
    float64 array, shape ``[M, r]``
        Orthonormal; ``r`` is below ``rank`` where sketches have a lower rank.
    """
    kept = orthonormal(sketches, before)[:, :rank]
    return kept @ _mixing(kept.shape[1])


def _mixing(size: int) -> _Matrix:
    """Return an orthogonal matrix with entries of like size: the DCT of type II."""
    at = np.arange(size)
    matrix = np.cos(np.pi * (at[:, None] + 0.5) * at[None, :] / max(size, 1))
    matrix *= np.sqrt(2 / max(size, 1))
    matrix[:, :1] *= np.sqrt(0.5)
    return matrix
