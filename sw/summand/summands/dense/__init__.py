"""Dense summands: a low-bit matrix, with group scales if asked."""

from typing import TYPE_CHECKING

from summand.summands.base import Kind
from summand.summands.dense.disk import DenseEntry
from summand.summands.dense.stream import operand
from summand.summands.dense.term import Dense

if TYPE_CHECKING:
    from summand.summands.twins import DirectTwin

__all__ = ["DENSE", "Dense", "DenseEntry"]


def _twin(summand: Dense, act_bits: int) -> "DirectTwin":
    from summand.summands.twins import DirectTwin

    return DirectTwin(operand(summand), act_bits)


DENSE = Kind(name="dense", summand=Dense, entry=DenseEntry, operands=operand, twin=_twin)
