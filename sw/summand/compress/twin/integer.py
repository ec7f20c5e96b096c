"""A torch module that computes a compressed layer's integers, fast and exactly."""

from typing import cast

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.network.survey import put
from summand.model import Layer
from summand.model.channels import ChannelGroups
from summand.summands.integers import act_limit
from summand.summands.registry import kind_of
from summand.summands.twins import EXACT_FLOAT32, Twin

__all__ = ["IntegerLinear", "quantise_tokens", "replace"]

_TINY = torch.finfo(torch.float32).tiny


def quantise_tokens(
    x: torch.Tensor, act_bits: int, groups: ChannelGroups | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do what :meth:`summand.model.Layer.quantise` does behind the transform, in torch.

    Takes float32 ``[M, K]``; returns whole numbers in float32 ``[M, K]``, and scales ``[M, 1]``.
    Where channels have groups, the whole numbers are multiplied by what borders make of them.
    """
    limit = act_limit(act_bits)
    if groups is None:
        s_x = (x.abs().amax(dim=1, keepdim=True) / limit).clamp_min_(_TINY)
        return (x / s_x).round_().clamp_(-limit, limit), s_x
    xq, s_x = quantise_tokens(torch.from_numpy(groups.raised(x.numpy())), act_bits)
    return xq * torch.from_numpy(groups.lift).float(), s_x * 2.0**-groups.shifts


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
        self._bound = 1 << (layer.acc_bits - 1)
        self._shifts = [summand.acc_shift for summand in layer.summands]
        lift = None if layer.groups is None else layer.groups.lift
        self._twins = nn.ModuleList(
            kind_of(summand).twin(summand, layer.act_bits, lift) for summand in layer.summands
        )
        self._transform, self._groups = layer.transform, layer.groups
        self._scale = torch.from_numpy(layer.scale)
        self._bias = None if layer.bias is None else torch.from_numpy(layer.bias)

    @property
    def twins(self) -> tuple[Twin, ...]:
        """What computes the summands, in their order."""
        return cast(tuple[Twin, ...], tuple(self._twins))

    def accumulate(self, xq: torch.Tensor) -> torch.Tensor:
        """Return the accumulators of :meth:`quantise`'s tokens, whole numbers in floating point."""
        xq = xq.to(torch.float32)
        first, *rest = self.twins
        acc = first(xq)
        for twin, shift in zip(rest, self._shifts[1:], strict=True):
            if self._bound > EXACT_FLOAT32:
                acc = acc.double()
            acc = (acc * (1 << shift)).add_(twin(xq))
        return acc

    def quantise(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform ``[..., K]``, and turn it into whole numbers as :func:`quantise_tokens` does.

        Raises :class:`CompressError` if an activation is not finite.
        """
        flat = x.detach().reshape(-1, self.in_features).to(torch.float32)
        if self._transform is not None:
            flat = torch.from_numpy(self._transform.apply(flat.numpy()))
        if not torch.isfinite(flat).all():
            raise CompressError(
                f"layer {self.name!r}: activations must be finite; the layers before it overflowed"
            )
        return quantise_tokens(flat, self._act_bits, self._groups)

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
