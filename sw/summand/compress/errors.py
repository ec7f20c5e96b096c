"""What can be wrong with a model that is to be compressed."""

from summand.isa import SummandError

__all__ = ["CompressError"]


class CompressError(SummandError):
    """A model, text or option that compression cannot work with; the text names the remedy."""
