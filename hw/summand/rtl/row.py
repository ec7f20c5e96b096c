"""One token of the array: activations, tables, columns and accumulators."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.structure import SUM_DELAY, element, scaler_latency
from summand.rtl.accumulator import AccOrder, Accumulators
from summand.rtl.activations import Activations
from summand.rtl.column import Column
from summand.rtl.delay import delayed
from summand.rtl.fold import emitted_once
from summand.rtl.scaler import Scaler
from summand.rtl.table import TableWriter
from summand.rtl.token import Result, Token

__all__ = ["Row"]


class Row(wiring.Component):
    """Do what each token says for one token of the batch, and pass it on a cycle later.

    ::

        token -> [reg] -+-> next row
                        +-> activations -> writers -> tables
                        +-> word ----> columns -> scalers -> accumulators -> [reg] -> result

    Rows are alike: row numbers in a token count down as they pass, and 0 means here.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i, o : ``In(Token)``, ``Out(Token)``
        Orders from the row before, and to the row behind.
    result : ``Out(Result)``
        What was drained of this row.
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

        writers = []
        for w in range(cfg.tables // cfg.table_share):
            m.submodules[f"writer_{w}"] = writer = TableWriter(cfg)
            m.d.comb += writer.step.eq(token.step)
            m.d.comb += [writer.x[i].eq(activations.x[4 * w + i]) for i in range(4)]
            writers.append(writer)
        # A signal, or the expression would be emitted anew for every table.
        write = Signal(cfg.table_share)
        m.d.comb += [
            write[s].eq(writers[0].write & (writers[0].share == s)) for s in range(cfg.table_share)
        ]

        # The column combines a plane `latency - 1` cycles after its look-up; the accumulator must
        # hear of a word early enough that its sums arrive when the memory has been read.
        latency = element(cfg).latency
        delay = latency - 1
        first = delayed(m, work.first, delay, "first")
        last = delayed(m, work.last, delay, "last")
        valid = delayed(m, work.valid, delay, "valid")
        order = Signal(AccOrder(cfg))
        m.d.comb += [
            order.add.eq(work.valid & work.last),
            order.clear.eq(work.clear),
            order.shift.eq(work.shift),
            order.drain.eq(work.drain),
            order.drain_row.eq(work.drain_row),
            order.tile.eq(work.tile),
        ]

        m.submodules.accumulators = accumulators = Accumulators(cfg)
        lead = latency + scaler_latency(cfg) - SUM_DELAY
        m.d.comb += accumulators.order.eq(delayed(m, order, lead, "order"))
        for c in range(cfg.cols):
            m.submodules[f"column_{c}"] = column = Column(cfg)
            m.d.comb += [
                column.write.eq(Cat(s.replicate(len(writers)) for s in write)),
                column.entry.eq(writers[0].entry),
                column.bits.eq(work.word[c * cfg.depth : (c + 1) * cfg.depth]),
                column.first.eq(first),
                column.last.eq(last),
                column.step.eq(valid),
            ]
            if cfg.scale_bits:
                m.submodules[f"scaler_{c}"] = scaler = Scaler(cfg)
                m.d.comb += [
                    scaler.sum.eq(column.sum),
                    scaler.scale.eq(token.scales[c]),
                    accumulators.sum[c].eq(scaler.product),
                ]
            else:
                m.d.comb += accumulators.sum[c].eq(column.sum)
            m.d.comb += [v.eq(w.value) for v, w in zip(column.value, writers, strict=True)]

        m.d.sync += self.result.eq(accumulators.result)

        return m
