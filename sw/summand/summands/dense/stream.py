"""The operand that a dense summand streams."""

from summand.summands.base import Operand
from summand.summands.dense.term import Dense
from summand.summands.patterns import kept_and_block

__all__ = ["operand"]


def operand(summand: Dense) -> Operand:
    """Return its weights and scales."""
    return Operand(
        summand.weights,
        summand.bits,
        summand.scales,
        summand.group,
        *kept_and_block(summand.pattern),
    )
