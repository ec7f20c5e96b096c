"""Errors of Summand models on disk."""

from summand.isa import SummandError

__all__ = ["ModelError", "Refusal"]


class ModelError(SummandError):
    """A Summand model that cannot be read or written; the text names the file and the remedy."""


class Refusal(ValueError):
    """Why a file is refused, from where its name is not known; becomes a :class:`ModelError`."""
