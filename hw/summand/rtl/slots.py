"""The use of the word bus and of the accumulators in each cycle."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl import elements
from summand.rtl.activations import Fill
from summand.rtl.drain import SlotPort
from summand.rtl.loads import LoadPort
from summand.rtl.requantise import ActWrite
from summand.rtl.token import Scales, Token
from summand.rtl.work import Work

__all__ = ["Slots"]


class Slots(wiring.Component):
    """Make one token of orders a cycle.

    A word or a beat of a LOAD always enters. One cycle later, when it is in a register, the drain
    gets the accumulators unless the word ends a tile, and the requantiser gets the bus unless a
    word or a beat is on it.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    words : ``In(Work)``
        The walker's word and orders. Its ``word`` ends with the beat at hand, a LOAD's beat too.
    load : ``In(LoadPort)``
        Where that beat goes if it holds activations.
    activations : ``In(stream.Signature(ActWrite))``
        Requantised words.
    drain : ``In(SlotPort)``
        Reads of accumulators.
    fill : ``In(Fill)``
        Activations to read.
    step
        What the element does to prepare itself, ``In``.
    scales : ``In(Scales)``
        The token's scales.
    o : ``Out(Token)``
        Orders for the first row.
    """

    words: Any
    load: Any
    activations: stream.Interface
    drain: Any
    fill: Any
    step: Any
    scales: Any
    o: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "words": In(Work(config, config.plane_bits)),
                "load": In(LoadPort(config)),
                "activations": In(stream.Signature(ActWrite(config))),
                "drain": In(SlotPort(config)),
                "fill": In(Fill(config)),
                "step": In(elements.parts(config).step(config)),
                "scales": In(Scales(config)),
                "o": Out(Token(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        came = Signal(Work(cfg, cfg.plane_bits), reset_less=True)
        ends = Signal()  # it is a tile's last word
        m.d.sync += [came.eq(self.words), ends.eq(self.words.valid & self.words.last)]
        m.d.sync += [
            came.act_write.eq(self.load.write),
            came.act_row.eq(self.load.row),
            came.act_addr.eq(self.load.addr),
        ]

        if turner := elements.parts(cfg).turner:
            m.submodules.turner = turned = turner(cfg)
            m.d.comb += turned.i.eq(came)
            came, ends = turned.o, turned.o.valid & turned.o.last

        bits = element(cfg).word_bits
        work = Signal(Work(cfg, bits))
        t = self.activations
        m.d.comb += [
            work.eq(came),
            t.ready.eq(~came.valid & ~came.act_write),
            self.drain.grant.eq(self.drain.request & ~ends),
            work.drain.eq(self.drain.grant),
        ]
        with m.If(t.valid & t.ready):
            m.d.comb += [
                work.word[-cfg.stream_bits :].eq(t.p.word),
                work.act_write.eq(1),
                work.act_row.eq(t.p.row),
                work.act_addr.eq(t.p.addr),
            ]

        ready = Signal(Work(cfg, bits), reset_less=True)
        m.d.sync += ready.eq(work)
        m.d.comb += [
            self.o.work.eq(ready),
            self.o.work.drain_row.eq(self.drain.row),
            self.o.fill.eq(self.fill),
            self.o.step.eq(self.step),
            self.o.scales.eq(self.scales),
        ]
        with m.If(ready.drain):
            m.d.comb += self.o.work.tile.eq(self.drain.tile)
        # The rows have no reset themselves: in a reset they end the weight that they had begun.
        with m.If(ResetSignal()):
            m.d.comb += [self.o.work.valid.eq(1), self.o.work.last.eq(1)]

        return m
