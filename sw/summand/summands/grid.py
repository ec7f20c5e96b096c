"""The whole numbers that a matrix of few bits may hold."""

from dataclasses import dataclass

import torch

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """Weights of ``bits``: two's complement, or half-step ones, which are even about zero.

    Parameters
    ----------
    bits : int
        1 to 8.
    half_step : bool
        Whether a weight is ``2 * q + 1``, with ``q`` the two's complement integer that the planes
        hold: the odd numbers from ``1 - 2**bits`` to ``2**bits - 1``.
    """

    bits: int
    half_step: bool = False

    @property
    def low(self) -> int:
        """The least weight."""
        return 1 - (1 << self.bits) if self.half_step else -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The largest weight."""
        return (1 << self.bits) - 1 if self.half_step else (1 << (self.bits - 1)) - 1

    @property
    def even(self) -> bool:
        """Whether the weights lie evenly about zero, so that a scale's sign makes no difference."""
        return self.low == -self.high

    def nearest_(self, x: torch.Tensor) -> torch.Tensor:
        """Replace floating-point numbers by the weights nearest to them; returns ``x``."""
        if not self.half_step:
            return x.round_().clamp_(self.low, self.high)
        return x.div_(2).floor_().mul_(2).add_(1).clamp_(self.low, self.high)

    def stored(self, weights: torch.Tensor) -> torch.Tensor:
        """Return what planes hold of weights, int8."""
        return (weights.div(2).floor() if self.half_step else weights).to(torch.int8)
