"""Summand models: compressed layers, and the folder that keeps them."""

from summand.model.errors import LayerError, ModelError
from summand.model.layer import Dense, Layer, LowRank, quantise, requantise

__all__ = ["Dense", "Layer", "LayerError", "LowRank", "ModelError", "quantise", "requantise"]
