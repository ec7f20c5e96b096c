"""What can be wrong with an exploration."""

from summand.isa import SummandError

__all__ = ["ExploreError"]


class ExploreError(SummandError):
    """A search that cannot be made, or finds nothing; the text says what would help."""
