"""A low-rank summand's exact twin, whose multipliers can be trained."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from summand.isa import limits
from summand.summands.lowrank.term import LowRank
from summand.summands.twins import ExactProduct, Twin

__all__ = ["LowRankTwin"]


class LowRankTwin(Twin):
    """Computes ``requantise(x @ a) @ b``.

    What can be trained is the multiplier of each rank, which is the scale of its intermediate:
    :attr:`gain` of shape ``[R]`` is the logarithm of what it is multiplied by. No gradient comes
    through an intermediate that saturates. The factors stay as they are, and so does the proof
    that nothing overflows.

    Parameters
    ----------
    summand : LowRank
        What to compute.
    act_bits : int
        Bits of an activation and of the intermediate.
    lift : int64 array, shape ``[K]``, optional
        What borders multiply each input feature's products by.
    """

    def __init__(self, summand: LowRank, act_bits: int, lift: npt.NDArray[np.int64] | None = None):
        super().__init__()
        self._top = 1 << (act_bits - 1)
        self._a = ExactProduct(torch.from_numpy(summand.a), act_bits, lift)
        self._b = ExactProduct(torch.from_numpy(summand.b), act_bits)
        shift = summand.shift.astype(np.int64)
        self._mult = self._first_mult = torch.from_numpy(summand.mult.astype(np.float64))
        self._half = torch.from_numpy(np.ldexp(1.0, shift - 1))
        self._unit = torch.from_numpy(np.ldexp(1.0, -shift))

    def forward(self, xq: torch.Tensor) -> torch.Tensor:
        """Return whole numbers ``[M, N]``."""
        # At most 2**47 in magnitude: exact in float64, and so is dividing by a power of two.
        t = (self._a(xq).double() * self._mult + self._half) * self._unit
        return self._b(t.floor_().clamp_(-self._top, self._top - 1).to(torch.float32))

    def make_trainable(self) -> None:
        """Make :attr:`gain`."""
        self.gain = nn.Parameter(torch.zeros(len(self._mult)))

    def value(self) -> torch.Tensor | None:
        """Return the multipliers before they are rounded, float64 ``[R]``."""
        return None if self.gain is None else self._first_mult * self.gain.double().exp()

    def use(self, value: torch.Tensor) -> None:
        """Round multipliers and compute with them from now on."""
        self._mult = value.detach().round().clamp_(*limits.MULT)

    def kept(self, xq: torch.Tensor, s_x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return where T is not saturated ``[M, R]``, and ``x a`` in units of the outputs."""
        inner = self._a(xq).double()
        t = inner * self._mult * self._unit
        free = (t > -self._top - 0.5) & (t < self._top - 0.5)
        return free, (inner * s_x * self._unit).to(torch.float32)

    def pulled(
        self, g: torch.Tensor, kept: tuple[Any, ...]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the gradients of the input ``[M, K]`` and of the multipliers ``[R]``."""
        free, inner = kept
        h = (g @ self._b.matrix.T) * free
        pulled = (h * inner).sum(dim=0).double()
        return (h * (self._mult * self._unit).float()) @ self._a.matrix.T, pulled

    def trained(self, summand: Any) -> LowRank:
        """Return the summand with its multipliers as they were trained."""
        if (value := self.value()) is None:
            return summand
        self.use(value)
        return dataclasses.replace(summand, mult=self._mult.numpy().astype(np.uint16))
