"""A row's accumulators in block RAM: one read-modify-write a cycle, drained by the same port."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.latencies import ACCUMULATOR_DISTANCE
from summand.isa.structure import accumulator_memory
from summand.isa.widths import border_bits, row_bits, scaled_bits, tile_bits
from summand.rtl.add import Adder
from summand.rtl.ram import BlockRam
from summand.rtl.token import Result

__all__ = ["AccOrder", "Accumulators"]


class AccOrder(data.StructLayout):
    """What happens to one tile's accumulators.

    Members
    -------
    add : 1
        Add the slice sums to the accumulators.
    clear : 1
        With :attr:`add`: start from zero instead of from the accumulators.
    shift : 1
        With :attr:`add`: shift the accumulators left first.
    border : ``border_bits``
        With :attr:`add` and without :attr:`shift`: shift them left by this first; only in an
        engine with borders.
    drain : 1
        Read the accumulators. Never with :attr:`add`.
    drain_row : ``row_bits``
        Row whose accumulators are read; 0 is this row.
    tile : ``tile_bits``
        Tile of the accumulators.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "add": 1,
                "clear": 1,
                "shift": 1,
                **({"border": border_bits(config)} if config.border_shift else {}),
                "drain": 1,
                "drain_row": row_bits(config),
                "tile": tile_bits(config),
            }
        )


class Accumulators(wiring.Component):
    """``acc <- (clear ? 0 : acc << shift) + sum`` on one tile a cycle, wrapping.

    The shift is 0, the engine's, or a border's.
    The word from the block RAM passes a register before the addition, where it is cleared if need
    be. Two orders for one tile are at least :attr:`DISTANCE` cycles apart, because a sum is written
    that long after its order; slices are further apart than that.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    order : ``In(AccOrder)``
        What to do with one tile.
    sum : ``In(array of cols signed scaled_bits)``
        Slice sums, scaled, of the order of :data:`~summand.isa.latencies.SUM_DELAY` cycles ago.
    result : ``Out(Result)``
        What a drain of this row read,
        :data:`~summand.isa.latencies.RESULT_LATENCY` cycles after its order.
    """

    #: Cycles between two orders for the same tile.
    DISTANCE = ACCUMULATOR_DISTANCE

    order: Any
    sum: Any
    result: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "order": In(AccOrder(config)),
                "sum": In(data.ArrayLayout(signed(scaled_bits(config)), config.cols)),
                "result": Out(Result(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        layout = data.ArrayLayout(signed(cfg.acc_bits), cfg.cols)
        m.submodules.memory = memory = BlockRam.of(accumulator_memory(cfg))

        # Stages 1 and 2: block RAM. Stage 3: a register that its own reset input clears, which
        # takes no look-up table.
        assert BlockRam.LATENCY == 2
        s1 = Signal(AccOrder(cfg))
        s2 = Signal(AccOrder(cfg))
        s3 = Signal(AccOrder(cfg))
        clear = Signal()
        held = Signal(layout, reset_less=True)
        m.d.comb += [memory.read_en.eq(1), memory.read_addr.eq(self.order.tile)]
        m.d.sync += [s1.eq(self.order), s2.eq(s1), s3.eq(s2)]
        m.d.sync += [
            clear.eq(s1.clear & ~s1.drain),
            held.eq(Mux(clear, 0, memory.read_data)),
        ]

        # Stage 4: add. The sum is written in the next cycle.
        s4_write = Signal()
        s4_tile = Signal.like(self.order.tile)
        total = Signal(layout, reset_less=True)
        m.d.sync += [s4_write.eq(s3.add), s4_tile.eq(s3.tile)]
        for c in range(cfg.cols):
            kept = held[c]
            if cfg.shift:
                kept = Mux(s3.shift, (held[c] << cfg.shift)[: cfg.acc_bits].as_signed(), held[c])
            for bit in range(1, border_bits(cfg)):
                moved = (kept << (1 << bit))[: cfg.acc_bits].as_signed()
                kept = Mux(s3.border[bit], moved, kept)
            m.submodules[f"adder_{c}"] = adder = Adder(
                cfg.acc_bits, len(self.sum[c]), cfg.acc_bits, doubles=int(cfg.border_shift > 0)
            )
            m.d.comb += [adder.a.eq(kept), adder.b.eq(self.sum[c])]
            if cfg.border_shift:
                m.d.comb += adder.double.eq(s3.border[0])
            m.d.sync += total[c].eq(adder.o)
        m.d.comb += [
            memory.write_en.eq(s4_write),
            memory.write_addr.eq(s4_tile),
            memory.write_data.eq(total),
        ]

        here = s3.drain & (s3.drain_row == 0)
        m.d.comb += [
            self.result.valid.eq(here),
            self.result.acc.as_value().eq(Mux(here, held.as_value(), 0)),
        ]

        return m
