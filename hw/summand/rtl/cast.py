"""Requantised accumulators to bits of plane words."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.limits import PLANES
from summand.isa.widths import lane_bits, word_addr_bits
from summand.rtl.operand import OperandWrite

__all__ = ["CastOrder", "CastWeight", "Caster"]


class CastOrder(data.StructLayout):
    """Where a CAST's weights go, and how many bits they have.

    Members
    -------
    planes : 4
        Bits of a weight, 1 to 8.
    lane : ``lane_bits``
        Lane of row 0.
    word : ``word_addr_bits``
        First word.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "planes": PLANES.high.bit_length(),
                "lane": lane_bits(config),
                "word": word_addr_bits(config),
            }
        )


class CastWeight(data.StructLayout):
    """A weight, and whether it is its row's last, and of the command's last tile."""

    def __init__(self):
        super().__init__({"value": PLANES.high, "row_ends": 1, "final": 1})


class Caster(wiring.Component):
    """Collect a tile's weights, a weight a cycle, and write them plane by plane.

    The next tile is collected meanwhile: a tile takes as many cycles as it has columns or as a
    weight has planes, whichever is more. The first plane is written two cycles after the tile's
    last weight.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``operand_depth`` is not 0.

    Members
    -------
    start : ``In(1)``
        Begin a command.
    order : ``In(CastOrder)``
        What it says, in that cycle.
    i : ``In(stream.Signature(CastWeight))``
        Weights of the tiles, row after row; ``ready`` depends on registers alone.
    o : ``Out(OperandWrite)``
        Bits to write.
    written : ``Out(1)``
        The command's last bits are written in this cycle.
    """

    start: Signal
    order: Any
    i: stream.Interface
    o: Any
    written: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "order": In(CastOrder(config)),
                "i": In(stream.Signature(CastWeight())),
                "o": Out(OperandWrite(config)),
                "written": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        weights = data.ArrayLayout(PLANES.high, cfg.cols)

        gathered = Signal(weights, reset_less=True)
        column = Signal(range(cfg.cols))
        full = Signal()
        row_ends = Signal()
        final = Signal()
        writing = Signal()
        last = Signal()  # plane of the tile
        load = Signal()
        whole = column == cfg.cols - 1
        m.d.comb += [load.eq(full & (~writing | last)), self.i.ready.eq(~full | load)]
        with m.If(load):
            m.d.sync += full.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                gathered.eq(Cat(gathered.as_value()[PLANES.high :], self.i.p.value)),
                column.eq(Mux(whole, 0, column + 1)),
                row_ends.eq(self.i.p.row_ends),
                final.eq(self.i.p.final),
            ]
            with m.If(whole):
                m.d.sync += full.eq(1)

        # Planes are written from the least significant on, so that weights shift down to bit 0,
        # and a tile's last word is the first to be written.
        planes = Signal.like(self.order.planes)
        tile = Signal(weights, reset_less=True)
        tile_final = Signal()
        left = Signal.like(planes)  # planes after this one
        top = Signal(word_addr_bits(cfg))  # the next tile's last word
        first_top = Signal.like(top)  # of a row
        lane = Signal(lane_bits(cfg))  # of the next tile
        with m.If(load):
            m.d.sync += [
                tile.eq(gathered),
                tile_final.eq(final),
                writing.eq(1),
                left.eq(planes - 1),
                last.eq(planes == 1),
                self.o.addr.eq(top),
                self.o.lane.eq(lane),
                top.eq(Mux(row_ends, first_top, top + planes)),
                lane.eq(lane + row_ends),
            ]
        with m.Elif(writing):
            m.d.sync += [tile[n].eq(tile[n] >> 1) for n in range(cfg.cols)]
            m.d.sync += [
                writing.eq(~last),
                left.eq(left - 1),
                last.eq(left == 1),
                self.o.addr.eq(self.o.addr - 1),
            ]
        m.d.comb += [
            self.o.valid.eq(writing),
            self.o.bits.eq(Cat(tile[n][0] for n in range(cfg.cols))),
            self.written.eq(writing & last & tile_final),
        ]
        with m.If(self.start):
            m.d.sync += [
                planes.eq(self.order.planes),
                lane.eq(self.order.lane),
                top.eq(self.order.word + self.order.planes - 1),
                first_top.eq(self.order.word + self.order.planes - 1),
            ]

        return m
