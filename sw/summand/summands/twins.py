"""Torch modules that compute a summand's integers, fast and exactly, and let scales be trained."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from summand.summands.base import Operand, Summand

__all__ = ["EXACT_FLOAT32", "DirectTwin", "ExactProduct", "Twin"]

#: Whole numbers below this are exact in float32, and so are their sums in any order.
EXACT_FLOAT32 = 1 << 24


class ExactProduct:
    """``x @ w`` of whole numbers by float32 BLAS, in pieces whose sums stay below 2**24."""

    def __init__(self, w: torch.Tensor, act_bits: int, lift: npt.NDArray[np.int64] | None = None):
        """Take an integer ``[K, N]`` matrix and the width of activations.

        Where there is a ``lift``, ``x`` has activations times that: powers of two ``[K]`` that
        never rise. All sums of a piece are multiples of its last one, which may then be so much
        larger.
        """
        act_max = 1 << (act_bits - 1)
        magnitude = w.to(torch.int32).abs()
        lifts = torch.ones(len(w), dtype=torch.int64) if lift is None else torch.from_numpy(lift)
        if lift is not None:
            magnitude = magnitude * lifts[:, None]
        self._pieces: list[tuple[int, int]] = []
        start, total = 0, torch.zeros(w.shape[1], dtype=torch.int64)
        if int(magnitude.sum(dim=0).max()) * act_max < EXACT_FLOAT32 * int(lifts[-1]):
            self._pieces = [(0, len(w))]
        else:
            for k, (row, unit) in enumerate(zip(magnitude, lifts.tolist(), strict=True)):
                total = total + row
                if int(total.max()) * act_max >= EXACT_FLOAT32 * unit:
                    self._pieces.append((start, k))
                    start, total = k, row
            self._pieces.append((start, len(w)))
        #: The matrix, in float32.
        self.matrix = w.to(torch.float32)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return whole numbers ``[M, N]``: float32 if all are exact in it, else float64."""
        (first, stop), *rest = self._pieces
        out = x[:, first:stop] @ self.matrix[first:stop]
        for start, stop in rest:
            out = out.double().add_((x[:, start:stop] @ self.matrix[start:stop]).double())
        return out


class Twin(nn.Module, ABC):
    """Computes what :meth:`Summand.accumulate` does, bit for bit, in floating point.

    A twin may have one vector that can be trained: :attr:`gain` after :meth:`make_trainable`.
    Backwards every rounding is taken for the identity (straight-through estimators, arXiv
    1308.3432).

    Attributes
    ----------
    gain : nn.Parameter, optional
        What is trained, 0 at first.
    """

    gain: nn.Parameter | None

    def __init__(self):
        super().__init__()
        self.register_parameter("gain", None)

    @abstractmethod
    def forward(self, xq: torch.Tensor) -> torch.Tensor:
        """Return whole numbers ``[M, N]`` of whole numbers ``[M, K]`` in float32."""

    def make_trainable(self) -> None:
        """Make :attr:`gain`, where there is something to train."""

    def value(self) -> torch.Tensor | None:
        """Return what is trained before it is rounded, with gradients to :attr:`gain`."""
        return None

    def use(self, value: torch.Tensor) -> None:
        """Round a value and compute with it from now on."""

    def kept(self, xq: torch.Tensor, s_x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what :meth:`pulled` needs of tokens ``[M, K]`` and their scales ``[M, 1]``."""
        return ()

    @abstractmethod
    def pulled(
        self, g: torch.Tensor, kept: tuple[Any, ...]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the gradients of the input ``[M, K]`` and of the value.

        ``g`` is the gradient of the sum ``[M, N]`` times the tokens' scales.
        """

    def trained(self, summand: Any) -> Summand:
        """Return the summand that this is the twin of, with what was trained."""
        return summand


class DirectTwin(Twin):
    """Of a summand that multiplies the input by one matrix.

    Parameters
    ----------
    operand : Operand
        The matrix.
    act_bits : int
        Bits of an activation.
    lift : int64 array, shape ``[K]``, optional
        What borders multiply each input feature's products by.
    """

    def __init__(self, operand: Operand, act_bits: int, lift: npt.NDArray[np.int64] | None = None):
        super().__init__()
        self._product = ExactProduct(torch.from_numpy(operand.integers()), act_bits, lift)

    def forward(self, xq: torch.Tensor) -> torch.Tensor:
        """Return whole numbers ``[M, N]``."""
        return self._product(xq)

    def pulled(
        self, g: torch.Tensor, kept: tuple[Any, ...]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the gradient of the input, ``[M, K]``; there is no value."""
        return g @ self._product.matrix.T, None
