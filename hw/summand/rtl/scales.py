"""A group's scales: taken from the stream, kept, and read tile by tile in every slice."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.latencies import SCALE_LATENCY
from summand.isa.structure import scale_memory
from summand.rtl.delay import delayed
from summand.rtl.ram import BlockRam
from summand.rtl.token import Scales

__all__ = ["ScaleMemory"]


class ScaleMemory(wiring.Component):
    """Keep one group's scales. It takes a beat or gives a tile a cycle, never both.

    Tiles are walked in the order of their scales, so a count of tiles is the scales' address.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``scale_bits`` is not 0.

    Members
    -------
    start : ``In(1)``
        Scales of :attr:`tiles` tiles follow.
    tiles : ``In(range(acc_depth + 1))``
        At least one.
    taking : ``Out(1)``
        Beats of scales are still to come.
    i : ``In(stream.Signature(stream_bits))``
        Beats; only taken while :attr:`taking`.
    step : ``In(1)``
        A tile's last word enters the array.
    scaled : ``In(1)``
        That tile has scales.
    rewind : ``In(1)``
        That tile is the slice's last: the next scaled tile is the first again.
    scale : ``Out(Scales)``
        The tile's scales :attr:`LATENCY` cycles after :attr:`step`, or ones if it has none; in
        other cycles anything.
    """

    #: Cycles from a step to its scales.
    LATENCY = SCALE_LATENCY

    start: Signal
    tiles: Signal
    taking: Signal
    i: stream.Interface
    step: Signal
    scaled: Signal
    rewind: Signal
    scale: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "tiles": In(range(config.acc_depth + 1)),
                "taking": Out(1),
                "i": In(stream.Signature(config.stream_bits)),
                "step": In(1),
                "scaled": In(1),
                "rewind": In(1),
                "scale": Out(Scales(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        per_beat = cfg.scale_tiles
        tile = len(self.scale.as_value())
        m.submodules.memory = memory = BlockRam.of(scale_memory(cfg))

        left = Signal.like(self.tiles)
        m.d.comb += [
            self.i.ready.eq(self.taking),
            memory.write_en.eq(self.taking & self.i.valid),
            memory.write_data.eq(self.i.payload),
        ]
        with m.If(memory.write_en):
            m.d.sync += [memory.write_addr.eq(memory.write_addr + 1), left.eq(left - per_beat)]
            with m.If(left <= per_beat):
                m.d.sync += self.taking.eq(0)
        with m.If(self.start):
            m.d.sync += [self.taking.eq(1), memory.write_addr.eq(0), left.eq(self.tiles)]

        # The memory takes two stages, and the choice of the tile a third. No register may delay the
        # reads, because the cycle after the last step may write the next group's scales.
        place = Signal(range(per_beat))
        m.d.comb += memory.read_en.eq(1)
        with m.If(self.step & self.scaled):
            m.d.sync += place.eq(place + 1)
            with m.If(place == per_beat - 1):
                m.d.sync += [place.eq(0), memory.read_addr.eq(memory.read_addr + 1)]
        with m.If(self.rewind):
            m.d.sync += [place.eq(0), memory.read_addr.eq(0)]

        tile_of = delayed(m, place, BlockRam.LATENCY, "place")
        has = delayed(m, self.scaled, BlockRam.LATENCY, "scaled")
        one = C(sum(1 << c * cfg.scale_bits for c in range(cfg.cols)), tile)
        m.d.sync += self.scale.eq(Mux(has, memory.read_data.word_select(tile_of, tile), one))

        return m
