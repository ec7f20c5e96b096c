"""Weights errors of a matrix: all alike, or by the inputs' moments."""

from dataclasses import dataclass

import torch

from summand.summands.errors import SolveError

__all__ = ["Weighting"]


@dataclass(frozen=True, eq=False)
class Weighting:
    """A quadratic form ``H = L L^T`` on errors of a weight matrix ``[K, N]``.

    The error of an output is the norm of ``L^T E``: in these whitened coordinates the singular
    vectors of a matrix are the best low-rank factors for text like the calibration text.

    Parameters
    ----------
    lower : float64 tensor, shape ``[K, K]``, optional
        ``L``, lower triangular; without it ``H`` is the identity.
    energy : float32 tensor, shape ``[K]``
        Diagonal of ``H``: what rounding one weight counts, others aside.
    damping : float
        Share of the mean diagonal that was added to the diagonal.
    """

    lower: torch.Tensor | None
    energy: torch.Tensor
    damping: float = 0.0

    @classmethod
    def plain(cls, features: int) -> "Weighting":
        """Return the identity: all inputs alike."""
        return cls(None, torch.ones(features))

    @classmethod
    def of_inputs(cls, moments: torch.Tensor, damping: float) -> "Weighting":
        """Return the inputs' moments, damped until they can be inverted.

        Raises
        ------
        SolveError
            If no damping does it: the moments hold numbers that are not finite.
        """
        h = moments.double()
        h = (h + h.T) / 2
        mean = float(h.diagonal().mean().clamp_min(1e-30))
        for _ in range(8):
            damped = h.clone()
            damped.diagonal().add_(damping * mean)
            lower, failed = torch.linalg.cholesky_ex(damped)
            if not failed and bool(torch.isfinite(lower).all()):
                return cls(lower, moments.diagonal().clamp_min(1e-30).float(), damping)
            damping *= 10
        raise SolveError(
            "the inputs' moments cannot be factorised even when damped; calibrate on more text"
        )

    def white(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``L^T x`` of float64 ``[K, ...]``."""
        return x if self.lower is None else self.lower.T @ x

    def back(self, u: torch.Tensor) -> torch.Tensor:
        """Return the ``x`` whose ``L^T x`` is float64 ``u``, ``[K]``."""
        if self.lower is None:
            return u
        return torch.linalg.solve_triangular(self.lower.T, u[:, None], upper=True)[:, 0]
