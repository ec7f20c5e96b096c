"""The inverse of the inputs' moments, as a factor."""

import torch

from summand.summands.errors import SolveError

__all__ = ["Inverse"]


class Inverse:
    """The inverse of damped moments ``H``, for input features in some order.

    The upper factor ``U`` with ``U^T U = H^-1`` is the inverse of the upper ``R`` with
    ``R R^T = H``, and that is the Cholesky factor of ``H`` read backwards: one decomposition and
    the inverse of a triangle.

    Parameters
    ----------
    moments : float32 tensor, shape ``[K, K]``
        Mean of ``x^T x``.
    order : integer tensor, shape ``[K]``
        The features in the order in which the factor has them.
    damping : float
        Added to the diagonal, as a share of its mean; ten times as much each time that it does not
        do.

    Attributes
    ----------
    damped : float32 tensor, shape ``[K, K]``
        ``H``, features in their own order.
    factor : float32 tensor, shape ``[K, K]``
        ``U``, features in the given order.

    Raises
    ------
    SolveError
        If nothing that may be added to the diagonal does.
    """

    def __init__(self, moments: torch.Tensor, order: torch.Tensor, damping: float):
        damped = (moments + moments.T).div_(2)
        mean = damped.diagonal().mean().clamp_min(1e-30)
        self._order, backwards = order, order.flip(0)
        added = 0.0
        for _ in range(8):
            damped.diagonal().add_((damping - added) * mean)
            lower, failed = torch.linalg.cholesky_ex(damped[backwards][:, backwards].double())
            if not failed:
                lower = lower.float()
                inverse = torch.linalg.solve_triangular(lower, torch.eye(len(lower)), upper=False)
                self.damped, self.factor = damped, inverse.flip(0, 1)
                return
            damping, added = 10 * damping, damping
        raise SolveError(
            "the inputs' moments cannot be inverted even when damped; calibrate on more text"
        )

    def diagonal(self) -> torch.Tensor:
        """Return the diagonal of ``H^-1``, float32 ``[K]``, features in their own order."""
        found = torch.empty(len(self.factor))
        found[self._order] = self.factor.square().sum(dim=0)
        return found
