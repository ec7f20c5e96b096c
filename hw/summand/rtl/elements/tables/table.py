"""Look-up tables of subset sums, and the writer that fills them."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.add import Adder
from summand.rtl.elements.tables.step import ENTRIES, Step
from summand.rtl.fold import emitted_once
from summand.rtl.mux import Chooser

__all__ = ["LookupTable", "TableWriter"]


class TableWriter(wiring.Component):
    """Sum four activations in Gray code order. One step a cycle, :attr:`LATENCY` cycles.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    step : ``In(Step)``
        What to do; see :func:`~summand.rtl.elements.tables.step.gray_steps`. A table's steps
        follow each other without a gap.
    x : ``In(array of 4 signed act_bits)``
        Activations, steady while steps come.
    write : ``Out(1)``
        Write :attr:`value`.
    share : ``Out``
        Which of the writer's tables is written.
    entry : ``Out(4)``
        Entry that is written.
    value : ``Out(signed(act_bits + 2))``
        Sum of the entry's activations.
    """

    #: Cycles from a step to its write.
    LATENCY = 2

    step: Any
    x: Any
    write: Signal
    share: Any
    entry: Signal
    value: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        step = Step(config)
        super().__init__(
            {
                "step": In(step),
                "x": In(data.ArrayLayout(signed(config.act_bits), 4)),
                "write": Out(1),
                "share": Out(step["share"].shape),
                "entry": Out(4),
                "value": Out(signed(config.act_bits + 2)),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        # Stage 1: choose.
        m.submodules.choice = choice = Chooser(self.config.act_bits, 4)
        m.d.comb += [
            choice.i.eq(self.x),
            choice.select.eq(self.step.select),
        ]
        chosen = Signal(signed(self.config.act_bits), reset_less=True)
        s1 = Signal(Step(self.config))
        m.d.sync += [chosen.eq(Mux(self.step.zero, 0, choice.o)), s1.eq(self.step)]

        # Stage 2: add or subtract. `base` is a copy of the sum that is 0 between tables, and after
        # a table that was broken off. It is a register apart from `value`, because a clear beside
        # that register's enable would take look-up tables.
        base = Signal.like(self.value, reset_less=True)
        size = len(self.value)
        m.submodules.adder = adder = Adder(size, len(chosen), size, subtracts=True)
        m.d.comb += [adder.a.eq(base), adder.b.eq(chosen), adder.subtract.eq(s1.negate)]
        with m.If(s1.valid & ~s1.last):
            m.d.sync += base.eq(adder.o)
        with m.Else():
            m.d.sync += base.eq(0)
        m.d.sync += self.write.eq(s1.valid)
        with m.If(s1.valid):
            m.d.sync += [
                self.value.eq(adder.o),
                self.entry.eq(s1.entry),
                self.share.eq(s1.share),
            ]

        return m


class LookupTable(wiring.Component):
    """16 subset sums in LUT RAM: four bits of a plane are the address. Reads in the same cycle.

    Members
    -------
    write : ``In(1)``
        Write :attr:`value` to :attr:`entry`; it can be read in the next cycle.
    entry : ``In(4)``
        Entry that is written.
    value : ``In(signed(act_bits + 2))``
        Sum of the activations whose bits are set in :attr:`entry`.
    address : ``In(4)``
        Bits of a plane.
    sum : ``Out(signed(act_bits + 2))``
        Sum of the activations whose bits are set in :attr:`address`.
    """

    write: Signal
    entry: Signal
    value: Signal
    address: Signal
    sum: Signal

    def __init__(self, config: EngineConfig):
        shape = signed(config.act_bits + 2)
        super().__init__(
            {
                "write": In(1),
                "entry": In(4),
                "value": In(shape),
                "address": In(4),
                "sum": Out(shape),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        m.submodules.memory = memory = Memory(shape=self.value.shape(), depth=ENTRIES, init=[])
        write = memory.write_port()
        read = memory.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.entry),
            write.data.eq(self.value),
            read.addr.eq(self.address),
            self.sum.eq(read.data),
        ]

        return m
