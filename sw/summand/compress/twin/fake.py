"""A compressed layer whose scales can be trained: exact forwards, straight through backwards."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from summand.compress.twin.integer import IntegerLinear
from summand.model import Layer

__all__ = ["TrainedLinear"]


class TrainedLinear(IntegerLinear):
    """A layer's integers under scales that are parameters.

    Forwards it gives what :class:`IntegerLinear` of :meth:`trained` gives, bit for bit. Backwards
    every rounding is taken for the identity (straight-through estimators, arXiv 1308.3432).

    Trained are the float scale of each output, the bias, and what the summands' twins have: the
    multipliers of low-rank summands, for one. Weights, factors and the integer scales of groups
    stay as they are, and so does the proof that nothing overflows.

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
    offset : nn.Parameter, shape ``[N]``, optional
        What is added to the bias, in units of the output's root mean square over the tokens of the
        first call; 0 at first.
    """

    def __init__(self, layer: Layer, *, bias: bool = True):
        super().__init__(layer)
        self.gain = nn.Parameter(torch.zeros(layer.out_features))
        self.offset = None
        for twin in self.twins:
            twin.make_trainable()
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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``[..., N]`` of ``[..., K]``, in ``x``'s type."""
        y = _Products.apply(x, self, *(twin.value() for twin in self.twins)) * self.scale()
        if self._size is None:
            self._size = y.detach().square().mean(dim=0).sqrt()
        bias = self.bias()
        if bias is not None:
            y = y + bias
        return y.reshape(*x.shape[:-1], self.out_features).to(x.dtype)

    def trained(self, layer: Layer) -> Layer:
        """Return the layer that this one began with, with what was trained."""
        with torch.no_grad():
            bias = self.bias()
            return dataclasses.replace(
                layer,
                scale=self.scale().numpy(),
                bias=None if bias is None else bias.numpy().copy(),
                summands=tuple(
                    twin.trained(summand)
                    for twin, summand in zip(self.twins, layer.summands, strict=True)
                ),
            )

    def products(
        self, x: torch.Tensor, values: Sequence[torch.Tensor | None]
    ) -> tuple[torch.Tensor, list[tuple[torch.Tensor, ...]]]:
        """Return accumulators times the tokens' scales, ``[M, N]``, and what gradients need.

        ``values`` are those of the twins, in their order.
        """
        for twin, value in zip(self.twins, values, strict=True):
            if value is not None:
                twin.use(value)
        xq, s_x = self.quantise(x)
        y = self.accumulate(xq).to(torch.float32) * s_x
        return y, [twin.kept(xq, s_x) for twin in self.twins]

    def pulled(
        self, g: torch.Tensor, kept: Sequence[tuple[torch.Tensor, ...]]
    ) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        """Return the gradients of ``x`` ``[M, K]`` and of the twins' values.

        ``g`` is that of the products ``[M, N]``, ``kept`` what they left.
        """
        back = torch.zeros(len(g), self.in_features)
        pulled: list[torch.Tensor | None] = []
        later = sum(self._shifts)  # how far the sum of a summand is shifted by those behind it
        for twin, mine, shift in zip(self.twins, kept, self._shifts, strict=True):
            later -= shift
            more, value = twin.pulled(g * (1 << later), mine)
            back = back + more
            pulled.append(value)
        if self._transform is not None:
            back = torch.from_numpy(self._transform.transposed(back.numpy()))
        return back, pulled


class _Products(torch.autograd.Function):
    """Products of a :class:`TrainedLinear` with gradients that go straight through rounding."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, layer: TrainedLinear, *values: torch.Tensor | None
    ) -> torch.Tensor:
        y, kept = layer.products(x, values)
        ctx.layer, ctx.shape = layer, x.shape
        ctx.counts = [len(mine) for mine in kept]
        ctx.save_for_backward(*(tensor for mine in kept for tensor in mine))
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        saved = iter(ctx.saved_tensors)
        kept = [tuple(itertools.islice(saved, count)) for count in ctx.counts]
        back, pulled = ctx.layer.pulled(grad_outputs[0], kept)
        return back.reshape(ctx.shape), None, *pulled
