"""Fill the look-up tables for each slice of a walk."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl.activations import Activations, Fill
from summand.rtl.elements.ports import PreparePort, TurnPort
from summand.rtl.elements.tables.step import Step, gray_steps

__all__ = ["TableLoader"]


class TableLoader(wiring.Component):
    """Read a slice's activations and step the table writers through them, slice after slice.

    A slice takes ``table_share`` passes of 15 steps. The next pass's activations are read during
    the last steps of the pass before, so that passes of one word follow each other without a gap,
    and the next slice's activations are there when its turn comes.

    In a reset the loader steps the writers through entry 0 of every table, which is zero for every
    slice and is never written again.

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
        The tables hold the current slice.
    fill : ``Out(Fill)``
        Activations to read, in every row.
    step : ``Out(Step)``
        What the table writers do, in every row.
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
                "step": Out(Step(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        tables = element(cfg)
        words = tables.pass_words(cfg)
        passes = Signal(range(cfg.act_depth * tables.passes + 1))  # still to be read
        share = Signal.like(self.step.share)
        step = Signal(Step(cfg))
        index = Signal(range(tables.steps))
        stepping = Signal()
        filling = Signal()
        word = Signal(range(words))
        filled = Signal()

        # Reading. A word that is read now is there for a step `Activations.LATENCY` cycles later.
        last_word = word == words - 1
        m.d.comb += self.fill.valid.eq(filling)
        with m.If(filling):
            m.d.sync += [self.fill.addr.eq(self.fill.addr + 1), word.eq(word + 1)]
            with m.If(last_word):
                m.d.sync += [filling.eq(0), word.eq(0), passes.eq(passes - 1)]
        landed = Signal(Activations.LATENCY - 1)
        m.d.sync += landed.eq(Cat(filling & last_word, landed))
        with m.If(landed[-1]):
            m.d.sync += filled.eq(1)

        # Stepping.
        # Registers, because whether words may enter depends on them.
        last_step, last_pass = Signal(), Signal()
        m.d.sync += [
            last_step.eq(step.valid & (index == tables.steps - 2)),
            last_pass.eq(share == tables.passes - 1),
        ]
        begin = Signal()
        m.d.comb += begin.eq(filled & ~self.ready & ~stepping)
        m.d.comb += [step.valid.eq(begin | stepping), step.share.eq(share)]
        with m.Switch(index):
            for i, fields in enumerate(gray_steps()):
                with m.Case(i):
                    m.d.comb += [step[name].eq(value) for name, value in fields.items()]
        with m.If(step.valid):
            m.d.sync += [index.eq(index + 1), stepping.eq(1)]
            with m.If(begin):
                m.d.sync += filled.eq(0)
            with m.If((index == tables.read_ahead) & (passes != 0)):
                m.d.sync += filling.eq(1)
            with m.If(last_step):
                m.d.sync += [index.eq(0), stepping.eq(0), share.eq(share + 1)]
                with m.If(last_pass):
                    m.d.sync += share.eq(0)
        m.d.comb += self.turn.next_ready.eq(
            (self.ready | last_step & last_pass) & ~self.turn.release
        )
        m.d.sync += self.ready.eq(self.turn.next_ready)

        with m.If(self.orders.start):
            m.d.sync += [
                filling.eq(1),
                self.fill.addr.eq(self.orders.addr),
                passes.eq(self.orders.slices * tables.passes),
            ]

        erased = Signal.like(share, reset_less=True)  # share whose entry 0 a reset writes
        m.d.comb += self.step.eq(step)
        with m.If(ResetSignal()):
            m.d.comb += [
                self.step.valid.eq(1),
                self.step.last.eq(1),
                self.step.zero.eq(1),
                self.step.entry.eq(0),
                self.step.share.eq(erased),
            ]
            m.d.sync += erased.eq(Mux(erased == tables.passes - 1, 0, erased + 1))

        return m
