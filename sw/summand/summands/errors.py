"""Errors of layers and of their summands."""

from summand.isa import SummandError

__all__ = ["LayerError", "SolveError"]


class LayerError(SummandError, ValueError):
    """A compressed layer that cannot exist; the text names the layer, field, value and remedy."""


class SolveError(SummandError):
    """A summand that cannot be found as chosen; the text names the remedy."""
