"""Width converters: beats into plane words, accumulators into beats."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
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

    The last beat of a packet is filled up with zeros, a tile's place a cycle. A tile a cycle, or a
    beat a cycle where a tile is as wide or wider.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(stream.Signature(Beat(array of cols signed acc_bits)))``
        Tiles; ``last`` ends a packet.
    o : ``Out(stream.Signature(Beat(stream_bits)))``
        Beats.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, config: EngineConfig):
        self.config = config
        tile = data.ArrayLayout(signed(config.acc_bits), config.cols)
        super().__init__(
            {
                "i": In(stream.Signature(Beat(tile))),
                "o": Out(stream.Signature(Beat(config.stream_bits))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        piece = Signal(cfg.cols * 32)
        m.d.comb += [
            piece[32 * c : 32 * c + 32].eq(self.i.payload.data[c]) for c in range(cfg.cols)
        ]
        if len(piece) >= cfg.stream_bits:
            self._split(m, piece, len(piece) // cfg.stream_bits)
        else:
            self._gather(m, piece, cfg.stream_bits // len(piece))

        return m

    def _split(self, m: Module, piece: Signal, count: int) -> None:
        part = Signal(range(count))
        last = part == count - 1
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.o.payload.data.eq(piece.word_select(part, self.config.stream_bits)),
            self.o.payload.last.eq(self.i.payload.last & last),
            self.i.ready.eq(self.o.ready & last),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += part.eq(Mux(last, 0, part + 1))

    def _gather(self, m: Module, piece: Signal, count: int) -> None:
        # Pieces shift in from the top, which takes no multiplexers; zeros follow a packet's last
        # until the beat is whole. A beat leaves from a register of its own, which is empty again
        # when the next is whole, so that `o.ready` is no part of the path back to the
        # accumulators.
        held = Signal(self.config.stream_bits - len(piece), reset_less=True)
        beat = Signal(self.config.stream_bits, reset_less=True)
        part = Signal(range(count))
        padding = Signal()
        step = Signal()
        whole = part == count - 1
        # What the next cycle may do is worked out in this one: from `i.ready` on it is a long way
        # back to the accumulators.
        move = Signal(init=1)
        next_part = Signal.like(part)
        next_padding = Signal()
        next_valid = Signal()
        m.d.comb += [
            step.eq(move & (padding | self.i.valid)),
            next_part.eq(Mux(step, Mux(whole, 0, part + 1), part)),
            next_padding.eq(Mux(step, (padding | self.i.payload.last) & ~whole, padding)),
            next_valid.eq((step & whole) | (self.o.valid & ~self.o.ready)),
            self.o.payload.data.eq(beat),
        ]
        ready = Signal(init=1)
        ends_padding = Signal()
        m.d.sync += ends_padding.eq(next_padding & (next_part == count - 1))
        next_move = ~((next_part == count - 1) & next_valid)
        m.d.sync += [
            part.eq(next_part),
            padding.eq(next_padding),
            self.o.valid.eq(next_valid),
            move.eq(next_move),
            ready.eq(next_move & ~next_padding),
        ]
        m.d.comb += self.i.ready.eq(ready)
        with m.If(step & whole):
            m.d.sync += [
                self.o.payload.last.eq(padding | self.i.payload.last),
                beat.eq(Cat(held, piece)),
            ]
        with m.If(step):
            m.d.sync += held.eq(Cat(held, piece)[len(piece) :])
        # What pads is written as resets, which take no logic.
        with m.If(padding & move):
            m.d.sync += held[-len(piece) :].eq(0)
        with m.If(ends_padding & move):
            m.d.sync += beat[-len(piece) :].eq(0)
