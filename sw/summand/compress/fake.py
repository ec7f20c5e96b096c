"""A compressed layer whose scales can be trained: exact forwards, straight through backwards."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn

from summand.compress.integer import IntegerLinear
from summand.isa import limits
from summand.model import Layer

__all__ = ["TrainedLinear"]


class TrainedLinear(IntegerLinear):
    """A layer's integers under scales that are parameters.

    Forwards it gives what :class:`IntegerLinear` of :meth:`trained` gives, bit for bit. Backwards
    every rounding, of activations and of the intermediate T, is taken for the identity, and no
    gradient comes through an intermediate that saturates (straight-through estimators, arXiv
    1308.3432).

    Trained are the float scale of each output, the bias, and where there is a low-rank summand the
    multiplier of each rank's requantisation, which is the scale of its T. Weights, factors and the
    integer scales of groups stay as they are, and so does the proof that nothing overflows.

    Parameters
    ----------
    layer : Layer
        What to begin with.
    bias : bool
        Whether a layer without a bias gets one.

    Attributes
    ----------
    gain : nn.Parameter, shape ``[N]``
        Logarithm of what each scale is multiplied by; 0 at first.
    mult_gain : nn.Parameter, shape ``[R]``, optional
        The same of the multipliers.
    offset : nn.Parameter, shape ``[N]``, optional
        What is added to the bias, in units of the output's root mean square over the tokens of the
        first call; 0 at first.
    """

    def __init__(self, layer: Layer, *, bias: bool = True):
        super().__init__(layer)
        self.gain = nn.Parameter(torch.zeros(layer.out_features))
        self.mult_gain = self.offset = None
        if layer.low_rank is not None:
            self._first_mult = self._mult
            self.mult_gain = nn.Parameter(torch.zeros(layer.low_rank.rank))
        if bias or layer.bias is not None:
            self.offset = nn.Parameter(torch.zeros(layer.out_features))
        self._size: torch.Tensor | None = None

    def scale(self) -> torch.Tensor:
        """Return the accumulator's unit of each output, float32 ``[N]``."""
        return self._scale * self.gain.exp()

    def bias(self) -> torch.Tensor | None:
        """Return the bias, float32 ``[N]``."""
        if self.offset is None or self._size is None:
            return self._bias
        change = self.offset * self._size
        return change if self._bias is None else self._bias + change

    def mult(self) -> torch.Tensor | None:
        """Return the multipliers before they are rounded, float64 ``[R]``."""
        if self.mult_gain is None:
            return None
        return self._first_mult * self.mult_gain.double().exp()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``[..., N]`` of ``[..., K]``, in ``x``'s type."""
        y = _Products.apply(x, self.mult(), self) * self.scale()
        if self._size is None:
            self._size = y.detach().square().mean(dim=0).sqrt()
        bias = self.bias()
        if bias is not None:
            y = y + bias
        return y.reshape(*x.shape[:-1], self.out_features).to(x.dtype)

    def trained(self, layer: Layer) -> Layer:
        """Return the layer that this one began with, with what was trained."""
        with torch.no_grad():
            bias, mult, low_rank = self.bias(), self.mult(), layer.low_rank
            if low_rank is not None and mult is not None:
                whole = _rounded(mult).numpy().astype(np.uint16)
                low_rank = dataclasses.replace(low_rank, mult=whole)
            return dataclasses.replace(
                layer,
                scale=self.scale().numpy(),
                bias=None if bias is None else bias.numpy().copy(),
                low_rank=low_rank,
            )

    def products(self, x: torch.Tensor, mult: torch.Tensor | None) -> tuple[torch.Tensor, Any]:
        """Return accumulators times the tokens' scales, ``[M, N]``, and what gradients need.

        That is, for a low-rank summand, where T is not saturated ``[M, R]``, and ``x A`` in units
        of the outputs ``[M, R]``.
        """
        if mult is not None:
            self._mult = _rounded(mult)
        xq, s_x = self.quantise(x)
        y = self.accumulate(xq).to(torch.float32) * s_x
        if self._a is None:
            return y, None
        inner = self._a(xq).double()
        t = inner * self._mult * self._unit
        top = 1 << (self._act_bits - 1)
        free = (t > -top - 0.5) & (t < top - 0.5)
        return y, (free, (inner * s_x * self._unit).to(torch.float32))

    def pulled(self, g: torch.Tensor, kept: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the gradients of ``x`` ``[M, K]`` and of the multipliers ``[R]``.

        ``g`` is that of the products ``[M, N]``, ``kept`` what they left.
        """
        back = torch.zeros(len(g), self.in_features)
        if self._dense is not None:
            back = (g @ self._dense.matrix.T) * (1 << self._acc_shift)
        pulled = None
        if self._a is not None and self._b is not None:
            free, inner = kept
            h = (g @ self._b.matrix.T) * free
            pulled = (h * inner).sum(dim=0).double()
            back = back + (h * (self._mult * self._unit).float()) @ self._a.matrix.T
        if self._transform is not None:
            back = torch.from_numpy(self._transform.transposed(back.numpy()))
        return back, pulled


def _rounded(mult: torch.Tensor) -> torch.Tensor:
    return mult.detach().round().clamp_(*limits.MULT)


class _Products(torch.autograd.Function):
    """Products of a :class:`TrainedLinear` with gradients that go straight through rounding."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, mult: torch.Tensor | None, layer: TrainedLinear
    ) -> torch.Tensor:
        y, kept = layer.products(x, mult)
        ctx.layer, ctx.shape = layer, x.shape
        ctx.save_for_backward(*(kept or ()))
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        back, pulled = ctx.layer.pulled(grad_outputs[0], ctx.saved_tensors)
        return back.reshape(ctx.shape), pulled, None
