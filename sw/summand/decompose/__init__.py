"""Prompts by way of pseudo-tokens: activations are decomposed while the model runs."""

from summand.decompose.attach import attach_decompositions
from summand.decompose.decomposer import Decomposer

__all__ = ["Decomposer", "attach_decompositions"]
