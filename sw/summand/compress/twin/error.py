"""How far a compressed layer's outputs are off."""

import torch
from torch import nn

from summand.compress.twin.integer import IntegerLinear
from summand.model import Layer

__all__ = ["output_error"]


def output_error(linear: nn.Linear, layer: Layer, sample: torch.Tensor) -> float:
    """Return how far a layer's output is off on sampled tokens, relative to its size."""
    with torch.no_grad():
        want = nn.functional.linear(sample, linear.weight.float())
        integer = IntegerLinear(layer)(sample)
        if linear.bias is not None:
            integer = integer - linear.bias.float()
        return float((integer - want).norm() / want.norm().clamp_min(1e-30))
