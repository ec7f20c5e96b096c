"""The operand that a dense summand streams."""

from summand.summands.base import Operand
from summand.summands.dense.term import Dense

__all__ = ["operand"]


def operand(summand: Dense) -> Operand:
    """Return its weights and scales."""
    return Operand(summand.weights, summand.bits, summand.scales, summand.group)
