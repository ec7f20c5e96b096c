"""One row's look-up tables: what turns its activations and plane words into slice sums."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl.delay import delayed
from summand.rtl.elements.tables.column import Column
from summand.rtl.elements.tables.inputs import InputSum
from summand.rtl.elements.tables.step import Step
from summand.rtl.elements.tables.table import TableWriter

__all__ = ["TableArray"]


class TableArray(wiring.Component):
    """Fill one row's tables, and look plane words up in them.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    x : ``In(array of depth / table_share signed act_bits)``
        Activations of the tables that are being filled.
    step : ``In(Step)``
        What the table writers do.
    word : ``In(plane_bits)``
        A plane word.
    valid : ``In(1)``
        There is one.
    first, last : ``In(1)``
        It is the first (most significant, subtracted) or the last plane of its tile.
    half_step : ``In(1)``
        Its weights are half-step; only in an engine with them.
    sums : ``Out(array of cols signed slice_sum_bits)``
        Slice sums that include the word of ``element(config).latency`` cycles ago.
    """

    x: Any
    step: Any
    word: Signal
    valid: Signal
    first: Signal
    last: Signal
    half_step: Signal
    sums: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "x": In(
                    data.ArrayLayout(signed(config.act_bits), config.depth // config.table_share)
                ),
                "step": In(Step(config)),
                "word": In(config.plane_bits),
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                **({"half_step": In(1)} if config.half_steps else {}),
                "sums": Out(data.ArrayLayout(signed(config.slice_sum_bits), config.cols)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        writers = []
        for w in range(cfg.tables // cfg.table_share):
            m.submodules[f"writer_{w}"] = writer = TableWriter(cfg)
            m.d.comb += writer.step.eq(self.step)
            m.d.comb += [writer.x[i].eq(self.x[4 * w + i]) for i in range(4)]
            writers.append(writer)
        # A signal, because the expression would be emitted anew for every table.
        write = Signal(cfg.table_share)
        m.d.comb += [
            write[s].eq(writers[0].write & (writers[0].share == s)) for s in range(cfg.table_share)
        ]

        # A column combines a plane `latency - 1` cycles after its look-up.
        delay = element(cfg).latency - 1
        first = delayed(m, self.first, delay, "first")
        last = delayed(m, self.last, delay, "last")
        valid = delayed(m, self.valid, delay, "valid")
        columns = []
        for c in range(cfg.cols):
            m.submodules[f"column_{c}"] = column = Column(cfg)
            columns.append(column)
            m.d.comb += [
                column.write.eq(Cat(s.replicate(len(writers)) for s in write)),
                column.entry.eq(writers[0].entry),
                column.bits.eq(self.word[c * cfg.depth : (c + 1) * cfg.depth]),
                column.first.eq(first),
                column.last.eq(last),
                column.step.eq(valid),
                self.sums[c].eq(column.sum),
            ]
            m.d.comb += [v.eq(w.value) for v, w in zip(column.value, writers, strict=True)]
        if cfg.half_steps:
            self._connect_inputs(m, writers[0], columns)

        return m

    def _connect_inputs(self, m: Module, writer: TableWriter, columns: list[Column]) -> None:
        """Let the first column add up the slice's activations, and give the sum to all."""
        m.submodules.inputs = inputs = InputSum(self.config)
        first = columns[0]
        m.d.comb += [
            inputs.write.eq(writer.write),
            inputs.entry.eq(writer.entry),
            inputs.plane_sum.eq(first.plane_sum),
            inputs.half_step.eq(self.half_step),
            first.bits.eq(self.word[: len(first.bits)] | inputs.look.replicate(len(first.bits))),
        ]
        for column in columns:
            m.d.comb += [column.half_step.eq(inputs.halves), column.inputs.eq(inputs.subtrahend)]
