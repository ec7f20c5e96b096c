"""A reset of a given length."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ResetHold"]


class ResetHold(wiring.Component):
    """Hold a reset for ``cycles`` cycles after power-up and after each request.

    Parameters
    ----------
    cycles : int
        Length of the reset, at least 1.

    Members
    -------
    request : ``In(1)``
        Begin a reset, or begin the current one again.
    reset : ``Out(1)``
        The reset, from a register: high for ``cycles`` cycles from the one after a request on.
    """

    request: Signal
    reset: Signal

    def __init__(self, cycles: int):
        self.cycles = cycles
        super().__init__({"request": In(1), "reset": Out(1)})

    def elaborate(self, platform):
        m = Module()

        left = Signal(range(self.cycles), init=self.cycles - 1)
        reset = Signal(init=1)
        m.d.comb += self.reset.eq(reset)
        with m.If(self.request):
            m.d.sync += [left.eq(self.cycles - 1), reset.eq(1)]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Else():
            m.d.sync += reset.eq(0)

        return m
