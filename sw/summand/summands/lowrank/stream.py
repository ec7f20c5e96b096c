"""The operands that a low-rank summand streams."""

from summand.summands.base import Factors, Operand
from summand.summands.lowrank.term import LowRank

__all__ = ["factors"]


def factors(summand: LowRank) -> Factors:
    """Return both factors, and the requantisation between them."""
    return Factors(
        Operand(summand.a, summand.a_bits),
        Operand(summand.b, summand.b_bits),
        summand.mult,
        summand.shift,
    )
