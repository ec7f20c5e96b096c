"""What second moments of an input tell about the text."""

import torch

__all__ = ["is_singular"]

#: Below this share of the mean diagonal a pivot is rounding of float32 sums.
_NOISE = 1e-6


def is_singular(moments: torch.Tensor) -> bool:
    """Return whether ``[K, K]`` moments have directions that the text never went in.

    What a solver does there is decided by damping alone; more, or other, text decides it better.
    """
    h = moments.double()
    mean = float(h.diagonal().mean())
    if not mean > 0:
        return True
    h = (h + h.T) / 2
    h.diagonal().add_(_NOISE * mean)
    lower, failed = torch.linalg.cholesky_ex(h)
    return bool(failed) or float(lower.diagonal().square().min()) < 4 * _NOISE * mean
