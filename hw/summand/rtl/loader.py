"""Fill the look-up tables for each slice of a walk."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.structure import act_addr_bits, element
from summand.rtl.activations import Activations
from summand.rtl.table import gray_steps
from summand.rtl.token import Fill, Step

__all__ = ["TableLoader"]


class TableLoader(wiring.Component):
    """Read a slice's activations and step the table writers through them, slice after slice.

    A slice takes ``table_share`` passes of 15 steps. The next pass's activations are read during
    the last steps of the one before, so that with one word a pass no cycle lies between, and the
    next slice's stand ready when its turn comes.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    start : ``In(1)``
        Begin a walk of ``slices`` slices whose activations start at word ``addr``.
    ready, next_ready : ``Out(1)``
        The tables hold the current slice, in this cycle or in the next. Words may enter the array.
    release : ``In(1)``
        With ``ready``: the slice's last word enters the array in this cycle.
    fill, step : ``Out(Fill)``, ``Out(Step)``
        Orders to the rows.
    """

    start: Signal
    addr: Signal
    slices: Signal
    ready: Signal
    next_ready: Signal
    release: Signal
    fill: Any
    step: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "addr": In(act_addr_bits(config)),
                "slices": In(range(config.act_depth + 1)),
                "ready": Out(1),
                "next_ready": Out(1),
                "release": In(1),
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
        index = Signal(range(tables.steps))
        stepping = Signal()
        filling = Signal()
        word = Signal(range(words))
        filled = Signal()

        # Reading. A word read now can be stepped over `Activations.LATENCY` cycles later.
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
        # Of the last step and of the last pass. Whether words may enter hangs on them.
        last_step, last_pass = Signal(), Signal()
        m.d.sync += [
            last_step.eq(self.step.valid & (index == tables.steps - 2)),
            last_pass.eq(share == tables.passes - 1),
        ]
        begin = Signal()
        m.d.comb += begin.eq(filled & ~self.ready & ~stepping)
        m.d.comb += [self.step.valid.eq(begin | stepping), self.step.share.eq(share)]
        with m.Switch(index):
            for i, fields in enumerate(gray_steps()):
                with m.Case(i):
                    m.d.comb += [self.step[name].eq(value) for name, value in fields.items()]
        with m.If(self.step.valid):
            m.d.sync += [index.eq(index + 1), stepping.eq(1)]
            with m.If(begin):
                m.d.sync += filled.eq(0)
            with m.If((index == tables.read_ahead) & (passes != 0)):
                m.d.sync += filling.eq(1)
            with m.If(last_step):
                m.d.sync += [index.eq(0), stepping.eq(0), share.eq(share + 1)]
                with m.If(last_pass):
                    m.d.sync += share.eq(0)
        m.d.comb += self.next_ready.eq((self.ready | last_step & last_pass) & ~self.release)
        m.d.sync += self.ready.eq(self.next_ready)

        with m.If(self.start):
            m.d.sync += [
                filling.eq(1),
                self.fill.addr.eq(self.addr),
                passes.eq(self.slices * tables.passes),
            ]

        return m
