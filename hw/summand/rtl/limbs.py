"""Tiles of accumulators, cut into limbs."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.rounding import ceil_log2
from summand.rtl.drain import DrainedTile
from summand.rtl.mux import choose

__all__ = ["LimbCutter", "TileLimb"]


class TileLimb(data.StructLayout):
    """One limb of each of a tile's accumulators.

    Members
    -------
    data : ``cols * limb_bits``
        The limbs, column 0 lowest.
    final : 1
        It is the packet's last.
    """

    def __init__(self, config: EngineConfig):
        super().__init__({"data": config.cols * config.limb_bits, "final": 1})


class LimbCutter(wiring.Component):
    """Cut tiles into their lowest limbs, the least significant first. A limb a cycle, no latency.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``limb_bits`` is not 0.

    Members
    -------
    start : ``In(1)``
        A packet's tiles follow, those of the one before have passed.
    limbs : ``In(range(acc_limbs + 1))``
        Limbs of each accumulator in the packet, in the cycle of :attr:`start`.
    i : ``In(stream.Signature(DrainedTile))``
        Tiles.
    o : ``Out(stream.Signature(TileLimb))``
        Their limbs.
    """

    start: Signal
    limbs: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "limbs": In(range(config.acc_limbs + 1)),
                "i": In(stream.Signature(DrainedTile(config))),
                "o": Out(stream.Signature(TileLimb(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        # As many limbs as multiplexers choose from; those above an accumulator's are never chosen.
        count = 1 << ceil_log2(cfg.acc_limbs)
        wide = Signal(data.ArrayLayout(signed(count * cfg.limb_bits), cfg.cols))
        m.d.comb += [wide[c].eq(self.i.payload.acc[c]) for c in range(cfg.cols)]
        limbs = Cat(
            wide[c][n * cfg.limb_bits : (n + 1) * cfg.limb_bits]
            for n in range(count)
            for c in range(cfg.cols)
        )
        index = Signal(range(count))
        top = Signal.like(index)
        # A register, because the path from `i.ready` to the accumulators is long.
        last = Signal()
        m.d.comb += [
            self.o.p.data.eq(choose(m, limbs, index, cfg.cols * cfg.limb_bits)),
            self.o.p.final.eq(self.i.p.final & last),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & last),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                index.eq(Mux(last, 0, index + 1)),
                last.eq(Mux(last, top == 0, index + 1 == top)),
            ]
        with m.If(self.start):
            m.d.sync += [index.eq(0), top.eq(self.limbs - 1), last.eq(self.limbs == 1)]

        return m
