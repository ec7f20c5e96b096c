"""Layers with an adapter in floating point beside them."""

from collections.abc import Mapping

import torch
from torch import nn

from summand.compress.adapt.peft_folder import LoraFactors
from summand.compress.network.survey import put

__all__ = ["FloatAdapted", "add_in_float"]


class FloatAdapted(nn.Module):
    """A layer, and an adapter's factors in float32 beside it. Gives no gradients.

    Parameters
    ----------
    layer : nn.Module
        Takes ``[..., K]`` to ``[..., N]``.
    factors : LoraFactors
        What is added.
    """

    #: There is none here; some models look before they call a layer.
    weight: None = None

    def __init__(self, layer: nn.Module, factors: LoraFactors):
        super().__init__()
        self.layer = layer
        self._factors = factors
        self.in_features, self.out_features = factors.a.shape[1], len(factors.b)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output and what the adapter adds, in ``x``'s type."""
        added = x.detach().float() @ self._factors.a.T @ self._factors.b.T
        return self.layer(x) + added.to(x.dtype)


def add_in_float(module: nn.Module, factors: Mapping[str, LoraFactors]) -> None:
    """Put an adapter beside layers of a module, in place; by the layers' names."""
    for name, mine in factors.items():
        put(module, name, FloatAdapted(module.get_submodule(name), mine))
