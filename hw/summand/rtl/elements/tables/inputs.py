"""The sum of a slice's activations, which half-step weights need."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.widths import plane_sum_bits
from summand.rtl.delay import delayed
from summand.rtl.elements.tables.step import ENTRIES

__all__ = ["InputSum"]


class InputSum(wiring.Component):
    """Take the sum of all activations of a slice from a column's adder tree.

    In Gray code order a table's entry of all four activations is not among its last. So while the
    others are written, and no plane comes, a column looks up a plane of ones. It passes through the
    tree like any plane, behind those of the slice before and ahead of those of its own slice; thus
    each plane meets its slice's sum.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``half_steps`` is set.

    Members
    -------
    write, entry : ``In(1)``, ``In(4)``
        The tables' entry is written. When tables share a writer, the sum is right after the last.
    look : ``Out(1)``
        Look up a plane of ones.
    plane_sum : ``In(signed(plane_sum_bits))``
        What the tree found for the plane looked up ``latency - 2`` cycles ago.
    half_step : ``In(1)``
        The plane that is looked up is one of a half-step weight.
    halves : ``Out(1)``
        :attr:`half_step` of ``latency - 2`` cycles ago.
    subtrahend : ``Out(signed(plane_sum_bits))``
        With :attr:`halves` the sum of the slice's activations, else 0.
    """

    write: Signal
    entry: Signal
    look: Signal
    plane_sum: Signal
    half_step: Signal
    halves: Signal
    subtrahend: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        plane_sum = signed(plane_sum_bits(config))
        super().__init__(
            {
                "write": In(1),
                "entry": In(4),
                "look": Out(1),
                "plane_sum": In(plane_sum),
                "half_step": In(1),
                "halves": Out(1),
                "subtrahend": Out(plane_sum),
            }
        )

    def elaborate(self, platform):
        m = Module()

        tree = element(self.config).latency - 2  # from a look-up to the tree's sum
        m.d.sync += self.look.eq(self.write & (self.entry == ENTRIES - 1))
        found = delayed(m, self.look, tree, "found")
        inputs = Signal.like(self.plane_sum, reset_less=True)
        with m.If(found):
            m.d.sync += inputs.eq(self.plane_sum)

        # A register that its own reset input clears, which takes no look-up table.
        halves = delayed(m, self.half_step, tree - 1, "half_step")
        subtrahend = Signal.like(self.subtrahend, reset_less=True)
        m.d.sync += [self.halves.eq(halves), subtrahend.eq(Mux(halves, inputs, 0))]
        m.d.comb += self.subtrahend.eq(subtrahend)

        return m
