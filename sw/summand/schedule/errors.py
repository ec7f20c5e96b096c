"""The error of layers that an engine cannot compute."""

from summand.isa import SummandError

__all__ = ["CompileError"]


class CompileError(SummandError, ValueError):
    """Layers that this engine cannot compute; the text names layer, value, limit and remedy."""
