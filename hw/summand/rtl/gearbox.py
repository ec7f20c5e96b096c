"""Converters of width: beats into words, accumulators into beats."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.drain import DrainedTile
from summand.rtl.limbs import LimbCutter
from summand.rtl.stream import Beat

__all__ = ["BeatGatherer", "ResultPacker"]


class BeatGatherer(wiring.Component):
    """Put ``count`` beats together, the first lowest. Adds no cycle: the last beat passes through.

    Parameters
    ----------
    width : int
        Bits of a beat.
    count : int
        Beats of a word.

    Members
    -------
    i : ``In(stream.Signature(width))``
        Beats.
    o : ``Out(stream.Signature(width * count))``
        Words.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, width: int, count: int):
        self.width = width
        self.count = count
        super().__init__(
            {"i": In(stream.Signature(width)), "o": Out(stream.Signature(width * count))}
        )

    def elaborate(self, platform):
        m = Module()

        held = Signal(self.width * (self.count - 1), reset_less=True)
        part = Signal(range(self.count))
        last = part == self.count - 1
        m.d.comb += [
            self.o.payload.eq(Cat(held, self.i.payload)),
            self.o.valid.eq(self.i.valid & last),
            self.i.ready.eq(~last | self.o.ready),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += part.eq(Mux(last, 0, part + 1))
            for n in range(self.count - 1):
                with m.If(part == n):
                    m.d.sync += held[n * self.width : (n + 1) * self.width].eq(self.i.payload)

        return m


class ResultPacker(wiring.Component):
    """Sign-extend tiles of accumulators to 32 bits each and pack them densely into beats.

    Zeros fill the last beat of a packet, a tile's width a cycle. It takes a tile a cycle or, if a
    tile is at least as wide as a beat, gives a beat a cycle. With ``limb_bits`` it packs a tile's
    limbs so, one after another, each in the place of a tile.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(stream.Signature(DrainedTile))``
        Tiles of accumulators; ``final`` ends a packet.
    o : ``Out(stream.Signature(Beat(stream_bits)))``
        Beats.
    start, limbs
        As the :class:`~summand.rtl.limbs.LimbCutter`'s; only with ``limb_bits``.
    """

    i: stream.Interface
    o: stream.Interface

    start: Signal
    limbs: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        limbs = {"start": In(1), "limbs": In(range(config.acc_limbs + 1))}
        super().__init__(
            {
                "i": In(stream.Signature(DrainedTile(config))),
                "o": Out(stream.Signature(Beat(config.stream_bits))),
                **(limbs if config.limb_bits else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        if cfg.limb_bits:
            m.submodules.cutter = cutter = LimbCutter(cfg)
            wiring.connect(m, wiring.flipped(self.i), cutter.i)
            m.d.comb += [cutter.start.eq(self.start), cutter.limbs.eq(self.limbs)]
            pieces, piece = cutter.o, cutter.o.p.data
        else:
            pieces = self.i
            piece = Signal(cfg.cols * 32)
            m.d.comb += [
                piece[32 * c : 32 * c + 32].eq(self.i.payload.acc[c]) for c in range(cfg.cols)
            ]
        if len(piece) >= cfg.stream_bits:
            self._split(m, pieces, piece, len(piece) // cfg.stream_bits)
        else:
            self._gather(m, pieces, piece, cfg.stream_bits // len(piece))

        return m

    def _split(self, m: Module, pieces: stream.Interface, piece: Signal, count: int) -> None:
        part = Signal(range(count))
        last = part == count - 1
        m.d.comb += [
            self.o.valid.eq(pieces.valid),
            self.o.payload.data.eq(piece.word_select(part, self.config.stream_bits)),
            self.o.payload.last.eq(pieces.payload.final & last),
            pieces.ready.eq(self.o.ready & last),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += part.eq(Mux(last, 0, part + 1))

    def _gather(self, m: Module, pieces: stream.Interface, piece: Signal, count: int) -> None:
        # Pieces shift in from the top, which takes no multiplexers; after a packet's last piece
        # zeros follow until the beat is whole. A whole beat leaves from a register of its own. It
        # is empty again when the next beat is whole, so `o.ready` is not on the path back to the
        # accumulators.
        held = Signal(self.config.stream_bits - len(piece), reset_less=True)
        beat = Signal(self.config.stream_bits, reset_less=True)
        part = Signal(count, init=1)  # which piece of the beat is next
        padding = Signal()
        step = Signal()
        whole, second_last = part[-1], part[-2]
        stuck = self.o.valid & ~self.o.ready
        ends = padding | pieces.payload.final
        # `move` and `ready` for the next cycle are computed in this one, for both values of `step`,
        # because `step` comes late and the path from `i.ready` to the accumulators is long.
        move = Signal(init=1)
        ready = Signal(init=1)
        ends_padding = Signal()
        m.d.comb += [
            step.eq(move & (padding | pieces.valid)),
            self.o.payload.data.eq(beat),
        ]
        m.d.sync += [
            self.o.valid.eq((step & whole) | stuck),
            move.eq(~(stuck & Mux(step, second_last, whole))),
            ready.eq(
                Mux(
                    step,
                    ~(stuck & second_last) & ~(ends & ~whole),
                    ~(stuck & whole) & ~padding,
                )
            ),
        ]
        with m.If(step):
            m.d.sync += [
                part.eq(part.rotate_left(1)),
                padding.eq(ends & ~whole),
                ends_padding.eq(ends & second_last),
            ]
        m.d.comb += pieces.ready.eq(ready)
        with m.If(step & whole):
            m.d.sync += [self.o.payload.last.eq(ends), beat.eq(Cat(held, piece))]
        with m.If(step):
            m.d.sync += held.eq(Cat(held, piece)[len(piece) :])
        # The zeros are written by the registers' reset inputs, which take no look-up tables.
        with m.If(padding & move):
            m.d.sync += held[-len(piece) :].eq(0)
        with m.If(ends_padding & move):
            m.d.sync += beat[-len(piece) :].eq(0)
