"""Why a layer that others quantised is not taken as it is."""

from summand.compress.errors import CompressError

__all__ = ["NotHeldError"]


class NotHeldError(CompressError):
    """A quantised layer that the format cannot hold; the text is the reason, for a table."""
