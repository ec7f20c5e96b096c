"""Elements, which multiply, as the rest of an engine sees them.

An element has three parts: a loader, in front of the rows, which prepares it for each slice of
activations; what the loader tells the rows in each cycle; and an array in each row, which turns
words into slice sums. One that takes several planes at once has a fourth, in front of the rows,
which turns planes into the words that the rows get. Their figures are in
:func:`summand.isa.elements.element`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.lib import data

from summand.isa import EngineConfig
from summand.isa.elements import ElementKind, element
from summand.rtl.elements.digits.array import DigitArray
from summand.rtl.elements.digits.loader import DigitLoader, DigitStep
from summand.rtl.elements.digits.turner import PlaneTurner
from summand.rtl.elements.tables.array import TableArray
from summand.rtl.elements.tables.loader import TableLoader
from summand.rtl.elements.tables.step import Step

__all__ = ["ElementParts", "parts"]


@dataclass(frozen=True, kw_only=True)
class ElementParts:
    """The gateware of one element, each part made of a configuration.

    Parameters
    ----------
    loader : callable
        Component with ``orders: In(PreparePort)``, ``turn: In(TurnPort)``, ``fill: Out(Fill)`` and
        ``step``, an ``Out`` of what :attr:`step` returns.
    step : callable
        Layout of what the array does in a cycle to prepare itself.
    array : callable
        Component with ``x`` (staged activations), ``step``, ``word``, ``valid``, ``first``,
        ``last`` and, in an engine with half-steps and without a turner, ``half_step`` in, and
        ``sums`` out.
    turner : callable, optional
        Component with ``i: In(Work)`` and ``o: Out(Work)``, combinational but for what it keeps.
    """

    loader: Callable[[EngineConfig], Any]
    step: Callable[[EngineConfig], data.StructLayout]
    array: Callable[[EngineConfig], Any]
    turner: Callable[[EngineConfig], Any] | None = None


def parts(config: EngineConfig) -> ElementParts:
    """Return the gateware of what multiplies in the engine of ``config``."""
    match element(config).kind:
        case ElementKind.TABLES:
            return ElementParts(loader=TableLoader, step=Step, array=TableArray)
        case ElementKind.DIGITS:
            return ElementParts(
                loader=DigitLoader, step=DigitStep, array=DigitArray, turner=PlaneTurner
            )
