"""A reset that lasts."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ResetHold"]


class ResetHold(wiring.Component):
    """Ask for a reset from power-up or a request on, until ``cycles`` after it. From a register.

    Parameters
    ----------
    cycles : int
        At least 1.

    Members
    -------
    request : ``In(1)``
        Begin, or begin again.
    reset : ``Out(1)``
        High in the cycle after a request, and in ``cycles`` in all.
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
