"""One row of the array: its activations, element, scalers and accumulators."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import SUM_DELAY
from summand.isa.structure import scaler_latency
from summand.rtl import elements
from summand.rtl.accumulator import AccOrder, Accumulators
from summand.rtl.activations import Activations
from summand.rtl.delay import delayed
from summand.rtl.fold import emitted_once
from summand.rtl.scaler import Scaler
from summand.rtl.token import Result, Token

__all__ = ["Row"]


class Row(wiring.Component):
    """Obey a token of orders a cycle for one row of activations, and pass it on a cycle later.

    ::

        token -> [reg] -+-> next row
                        +-> activations -+
                        +-> word --------+-> element -> scalers -> accumulators -> [reg] -> result

    All rows are equal: the row numbers in a token count down as it passes, and 0 means this row.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(Token)``
        Orders, from the row before.
    o : ``Out(Token)``
        The same orders, for the next row.
    result : ``Out(Result)``
        Accumulators that were drained from this row.
    """

    i: Any
    o: Any
    result: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        token = Token(config)
        super().__init__({"i": In(token), "o": Out(token), "result": Out(Result(config))})

    @emitted_once
    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        token = Signal(Token(cfg))
        m.d.sync += token.eq(self.i)
        m.d.comb += [
            self.o.eq(token),
            self.o.work.act_row.eq(token.work.act_row - 1),
            self.o.work.drain_row.eq(token.work.drain_row - 1),
        ]
        work = token.work

        m.submodules.activations = activations = Activations(cfg)
        m.d.comb += [
            activations.write.eq(work.act_write & (work.act_row == 0)),
            activations.addr.eq(work.act_addr),
            activations.data.eq(work.word[-cfg.stream_bits :]),
            activations.fill.eq(token.fill),
        ]

        m.submodules.multiplier = multiplier = elements.parts(cfg).array(cfg)
        m.d.comb += [
            multiplier.x.eq(activations.x),
            multiplier.step.eq(token.step),
            multiplier.word.eq(work.word),
            multiplier.valid.eq(work.valid),
            multiplier.first.eq(work.first),
            multiplier.last.eq(work.last),
        ]
        if cfg.half_steps and not cfg.digit_bits:
            m.d.comb += multiplier.half_step.eq(work.half_step)

        order = Signal(AccOrder(cfg))
        m.d.comb += [
            order.add.eq(work.valid & work.last),
            order.clear.eq(work.clear),
            order.shift.eq(work.shift),
            order.drain.eq(work.drain),
            order.drain_row.eq(work.drain_row),
            order.tile.eq(work.tile),
        ]

        if cfg.border_shift:
            m.d.comb += order.border.eq(work.border)

        m.submodules.accumulators = accumulators = Accumulators(cfg)
        # An order must reach the accumulators `SUM_DELAY` cycles before the sums that it adds.
        lead = element(cfg).latency + scaler_latency(cfg) - SUM_DELAY
        m.d.comb += accumulators.order.eq(delayed(m, order, lead, "order"))
        for c in range(cfg.cols):
            if cfg.scale_bits:
                m.submodules[f"scaler_{c}"] = scaler = Scaler(cfg)
                m.d.comb += [
                    scaler.sum.eq(multiplier.sums[c]),
                    scaler.scale.eq(token.scales[c]),
                    accumulators.sum[c].eq(scaler.product),
                ]
            else:
                m.d.comb += accumulators.sum[c].eq(multiplier.sums[c])

        m.d.sync += self.result.eq(accumulators.result)

        return m
