"""The two greatest or least accumulators of each bin, on their way to a packet."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.results import EXTREMES_BYTES
from summand.isa.rounding import ceil_log2
from summand.rtl.drain import DrainedTile
from summand.rtl.mux import choose
from summand.rtl.stream import Beat

__all__ = ["ExtremeFinder"]


class _Found(data.StructLayout):
    """An accumulator that counts: its key, which is greater the further out it is, and place."""

    def __init__(self, config: EngineConfig):
        super().__init__({"key": signed(config.acc_bits), "place": range(config.bin_size)})


class ExtremeFinder(wiring.Component):
    """Let packets pass, or find two accumulators of each bin and send these.

    An accumulator is looked at each cycle, so a tile is taken in as many as it has columns. Behind
    a bin's last one its two leave, in whole beats, before the next bin begins.

    ::

        i -+-> tiles (to the packer) ... beats -+-> o
           +-> column -> fresh -> first, second +

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``bin_tiles`` is not 0.

    Members
    -------
    start : ``In(1)``
        A packet's tiles follow, all beats of the one before have left.
    extremes, least : ``In(1)``
        What the packet has, in the cycle of :attr:`start`: extremes, and these the least ones.
    i : ``In(stream.Signature(DrainedTile))``
        Tiles; whole bins where extremes are sent.
    tiles : ``Out(stream.Signature(DrainedTile))``
        The same, where all accumulators are sent.
    beats : ``In(stream.Signature(Beat(stream_bits)))``
        What has become of these.
    o : ``Out(stream.Signature(Beat(stream_bits)))``
        The packet's payload.
    """

    start: Signal
    extremes: Signal
    least: Signal
    i: stream.Interface
    tiles: stream.Interface
    beats: stream.Interface
    o: stream.Interface

    def __init__(self, config: EngineConfig):
        self.config = config
        tiles = stream.Signature(DrainedTile(config))
        beats = stream.Signature(Beat(config.stream_bits))
        super().__init__(
            {
                "start": In(1),
                "extremes": In(1),
                "least": In(1),
                "i": In(tiles),
                "tiles": Out(tiles),
                "beats": In(beats),
                "o": Out(beats),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        active, least = Signal(), Signal()
        with m.If(self.start):
            m.d.sync += [active.eq(self.extremes), least.eq(self.least)]

        # A column of a tile each cycle.
        place = Signal(range(cfg.bin_size))
        column = place[: ceil_log2(cfg.cols)]
        fresh = Signal(_Found(cfg), reset_less=True)
        valid, ends, final = Signal(), Signal(), Signal()
        sending = Signal()
        takes = Signal()
        m.d.comb += takes.eq(self.i.valid & active & ~ends & ~sending)
        accs = Cat(self.i.p.acc[c].as_unsigned() for c in range(cfg.cols))
        acc = choose(m, accs, column, cfg.acc_bits)
        m.d.sync += [
            valid.eq(takes),
            ends.eq(takes & place.all()),
            fresh.key.eq(acc ^ least.replicate(cfg.acc_bits)),
            fresh.place.eq(place),
        ]
        with m.If(takes):
            m.d.sync += [place.eq(place + 1), final.eq(self.i.p.final)]

        first, second = (Signal(_Found(cfg), name=n, reset_less=True) for n in ("first", "second"))
        some, more = Signal(), Signal()  # accumulators that were found in the bin: one, two
        leads, counts = Signal(), Signal()
        m.d.comb += [
            leads.eq(~some | (fresh.key > first.key)),
            counts.eq(~more | (fresh.key > second.key)),
        ]
        with m.If(valid & counts):
            m.d.sync += second.eq(Mux(leads, first, fresh))
        with m.If(valid & leads):
            m.d.sync += first.eq(fresh)
        with m.If(valid):
            m.d.sync += [some.eq(1), more.eq(some)]

        # Their beats.
        text = Signal(cfg.header_beats * cfg.stream_bits)
        entries = text[: EXTREMES_BYTES * 8]
        for n, found in enumerate((first, second)):
            entry = data.View(
                data.StructLayout({"acc": signed(32), "place": 16, "zero": 16}),
                entries.word_select(n, 64),
            )
            m.d.comb += [
                entry.acc.eq((found.key.as_unsigned() ^ least.replicate(cfg.acc_bits)).as_signed()),
                entry.place.eq(found.place),
            ]
        part = Signal(range(cfg.header_beats))
        last = part == cfg.header_beats - 1
        with m.If(ends):
            m.d.sync += sending.eq(1)
        with m.If(sending & self.o.ready):
            m.d.sync += part.eq(Mux(last, 0, part + 1))
            with m.If(last):
                m.d.sync += [sending.eq(0), some.eq(0)]

        words = text.word_select(part, cfg.stream_bits)
        m.d.comb += [
            self.i.ready.eq(Mux(active, takes & column.all(), self.tiles.ready)),
            self.tiles.payload.eq(self.i.payload),
            self.tiles.valid.eq(self.i.valid & ~active),
            self.beats.ready.eq(self.o.ready),
            self.o.valid.eq(Mux(active, sending, self.beats.valid)),
            self.o.p.data.eq(Mux(active, words, self.beats.p.data)),
            self.o.p.last.eq(Mux(active, final & last, self.beats.p.last)),
        ]

        return m
