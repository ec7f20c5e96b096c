"""What can be wrong with a model that is to be compressed."""

from summand.isa import SummandError

__all__ = ["CompressError", "is_out_of_memory"]


class CompressError(SummandError):
    """A model, text or option that compression cannot work with; the text names the remedy."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether there was too little memory, as Python and torch each say it."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error)
