"""A torch module that computes a compressed layer's integers, fast and exactly."""

import numpy as np
import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.network.survey import put
from summand.model import Layer
from summand.model.layer import act_limit

__all__ = ["IntegerLinear", "quantise_tokens", "replace"]

#: Whole numbers below this are exact in float32, and so are their sums in any order.
_EXACT_FLOAT32 = 1 << 24

_TINY = torch.finfo(torch.float32).tiny


def quantise_tokens(x: torch.Tensor, act_bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Do what :func:`summand.model.quantise` does, in torch.

    Takes float32 ``[M, K]``; returns whole numbers in float32 ``[M, K]``, and scales ``[M, 1]``.
    """
    limit = act_limit(act_bits)
    s_x = (x.abs().amax(dim=1, keepdim=True) / limit).clamp_min_(_TINY)
    return (x / s_x).round_().clamp_(-limit, limit), s_x


class _ExactProduct:
    """``x @ w`` of whole numbers by float32 BLAS, in pieces whose sums stay below 2**24."""

    def __init__(self, w: torch.Tensor, act_max: int):
        """Take an integer ``[K, N]`` matrix and the largest magnitude of an activation."""
        magnitude = w.to(torch.int32).abs_()
        self._pieces: list[tuple[int, int]] = []
        start, total = 0, torch.zeros(w.shape[1], dtype=torch.int64)
        self.bound = int(magnitude.sum(dim=0).max()) * act_max
        if self.bound < _EXACT_FLOAT32:
            self._pieces = [(0, len(w))]
        else:
            for k, row in enumerate(magnitude):
                total = total + row
                if int(total.max()) * act_max >= _EXACT_FLOAT32:
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


class IntegerLinear(nn.Module):
    """Takes the place of an ``nn.Linear``; gives the same numbers as :meth:`Layer.forward`.

    Every product and sum is of whole numbers within the range where floating point is exact, so
    that the accumulators equal :meth:`summand.model.Layer.accumulate` bit for bit. Has no
    parameters and gives no gradients.

    Parameters
    ----------
    layer : Layer
        What to compute.
    """

    #: There is none here; some models look before they call a layer.
    weight: None = None

    def __init__(self, layer: Layer):
        super().__init__()
        self.name = layer.name
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._act_bits = layer.act_bits
        self._acc_shift = layer.acc_shift
        self._bound = 1 << (layer.acc_bits - 1)
        worst = 1 << (layer.act_bits - 1)
        self._dense = self._a = self._b = None
        if layer.dense is not None:
            self._dense = _ExactProduct(torch.from_numpy(layer.dense.integers()), worst)
        if layer.low_rank is not None:
            self._a = _ExactProduct(torch.from_numpy(layer.low_rank.a), worst)
            self._b = _ExactProduct(torch.from_numpy(layer.low_rank.b), worst)
            shift = layer.low_rank.shift.astype(np.int64)
            self._mult = torch.from_numpy(layer.low_rank.mult.astype(np.float64))
            self._half = torch.from_numpy(np.ldexp(1.0, shift - 1))
            self._unit = torch.from_numpy(np.ldexp(1.0, -shift))
        self._transform = layer.transform
        self._scale = torch.from_numpy(layer.scale)
        self._bias = None if layer.bias is None else torch.from_numpy(layer.bias)

    def accumulate(self, xq: torch.Tensor) -> torch.Tensor:
        """Return the accumulators of whole-number tokens, as whole numbers in floating point."""
        xq = xq.to(torch.float32)
        acc = None
        if self._dense is not None:
            acc = self._dense(xq)
        if self._a is None or self._b is None:
            assert acc is not None
            return acc
        # At most 2**47 in magnitude: exact in float64, and so is dividing by a power of two.
        t = (self._a(xq).double() * self._mult + self._half) * self._unit
        top = 1 << (self._act_bits - 1)
        low = self._b(t.floor_().clamp_(-top, top - 1).to(torch.float32))
        if acc is None:
            return low
        if self._bound > _EXACT_FLOAT32:
            acc = acc.double()
        return (acc * (1 << self._acc_shift)).add_(low)

    def quantise(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform ``[..., K]`` and turn it into whole numbers ``[M, K]``, and scales ``[M, 1]``.

        Raises :class:`CompressError` if an activation is not finite.
        """
        flat = x.detach().reshape(-1, self.in_features).to(torch.float32)
        if self._transform is not None:
            flat = torch.from_numpy(self._transform.apply(flat.numpy()))
        if not torch.isfinite(flat).all():
            raise CompressError(
                f"layer {self.name!r}: activations must be finite; the layers before it overflowed"
            )
        return quantise_tokens(flat, self._act_bits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``[..., N]`` of ``[..., K]``, in ``x``'s type."""
        xq, s_x = self.quantise(x)
        y = self.accumulate(xq).to(torch.float32) * s_x * self._scale
        if self._bias is not None:
            y = y + self._bias
        return y.reshape(*x.shape[:-1], self.out_features).to(x.dtype)


def replace(module: nn.Module, layer: Layer) -> None:
    """Put :class:`IntegerLinear` in the place of the layer's ``nn.Linear``, in place."""
    put(module, layer.name, IntegerLinear(layer))
