"""Stage each slice's activations of a walk, and have the rows copy them when its turn comes."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import ACCUMULATOR_DISTANCE
from summand.rtl.activations import Activations, Fill
from summand.rtl.delay import delayed
from summand.rtl.elements.ports import PreparePort, TurnPort

__all__ = ["DigitLoader", "DigitStep"]


class DigitStep(data.StructLayout):
    """What the DSP blocks of a row do to prepare themselves.

    Members
    -------
    valid : 1
        Copy the staged activations.
    """

    def __init__(self, config: EngineConfig):
        super().__init__({"valid": 1})


class DigitLoader(wiring.Component):
    """Read a slice's activations and order them to be copied, slice after slice.

    The order to copy comes when the last words of the slice before have passed the rows. The next
    slice's activations are read behind it, and are there when their turn comes.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    orders : ``In(PreparePort)``
        The walk's slices.
    turn : ``In(TurnPort)``
        When words may enter the array.
    ready : ``Out(1)``
        The walk is at a slice that has been prepared.
    fill : ``Out(Fill)``
        Activations to read, in every row.
    step : ``Out(DigitStep)``
        Whether every row copies.
    """

    orders: Any
    turn: Any
    ready: Signal
    fill: Any
    step: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "orders": In(PreparePort(config)),
                "turn": In(TurnPort()),
                "ready": Out(1),
                "fill": Out(Fill(config)),
                "step": Out(DigitStep(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        digits = element(cfg)
        words = digits.pass_words(cfg)
        slices = Signal(range(cfg.act_depth + 1))  # still to be read
        filling = Signal()
        word = Signal(range(words))
        filled = Signal()

        # Reading. A word that is read now is staged `Activations.LATENCY` cycles later.
        last_word = word == words - 1
        m.d.comb += self.fill.valid.eq(filling)
        with m.If(filling):
            m.d.sync += [self.fill.addr.eq(self.fill.addr + 1), word.eq(word + 1)]
            with m.If(last_word):
                m.d.sync += [filling.eq(0), word.eq(0), slices.eq(slices - 1)]
        landed = delayed(m, filling & last_word, Activations.LATENCY - 1, "landed")
        with m.If(landed):
            m.d.sync += filled.eq(1)

        # A slice's turn. It is prepared before the next has been read.
        begin = Signal()
        m.d.comb += begin.eq(filled & ~self.ready)
        with m.If(begin):
            m.d.sync += filled.eq(0)
        with m.If(delayed(m, begin, digits.read_ahead, "read") & (slices != 0)):
            m.d.sync += filling.eq(1)
        prepared = delayed(m, begin, digits.steps - 1, "prepared")
        m.d.comb += [
            self.step.valid.eq(delayed(m, begin, ACCUMULATOR_DISTANCE - 1, "copy")),
            self.turn.next_ready.eq((self.ready | prepared) & ~self.turn.release),
        ]
        m.d.sync += self.ready.eq(self.turn.next_ready)

        with m.If(self.orders.start):
            m.d.sync += [
                filling.eq(1),
                self.fill.addr.eq(self.orders.addr),
                slices.eq(self.orders.slices),
            ]

        return m
