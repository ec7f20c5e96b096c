"""Send a GEMM's words into the array, with their orders."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.widths import border_bits
from summand.rtl.elements.ports import TurnPort
from summand.rtl.ring import RingPort
from summand.rtl.work import Work

__all__ = ["WalkPort", "Walker"]


class WalkPort(wiring.Signature):
    """Walks, as the front orders them.

    Members
    -------
    start : ``Out(1)``
        Begin a walk. The segment table has been rewound in this cycle.
    slices : ``Out(range(act_depth + 1))``
        Its slices.
    group : ``Out(range(act_depth + 1))``
        Slices that share scales.
    walking : ``In(1)``
        Words of the walk are still to come.
    done : ``In(1)``
        The walk's last word goes in this cycle.
    """

    def __init__(self, config: EngineConfig):
        slices = range(config.act_depth + 1)
        super().__init__(
            {
                "start": Out(1),
                "slices": Out(slices),
                "group": Out(slices),
                "walking": In(1),
                "done": In(1),
            }
        )


class Walker(wiring.Component):
    """Count slices, segments, tiles and a tile's words as words go by. A word a cycle.

    Where the element takes several planes at once, a tile's first word, which has its weights'
    signs, stays until the tile has as many as whole digits have.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    orders : ``In(WalkPort)``
        Walks.
    regroup : ``Out(1)``
        The last word of a group goes in this cycle, and the walk goes on.
    words : ``In(stream.Signature(plane_bits))``
        Words.
    turn : ``Out(TurnPort)``
        When words may enter the array.
    ring : ``Out(RingPort)``
        The segment ring.
    border : ``In(border_bits)``
        How far the slice's border shifts, steady with its words; only in an engine with borders.
    work : ``Out(Work)``
        The word and its orders; only the members that belong to words are driven. A word that stays
        is one in each cycle.
    """

    words: stream.Interface

    orders: Any
    regroup: Signal
    turn: Any
    ring: Any
    border: Signal
    work: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "orders": In(WalkPort(config)),
                "regroup": Out(1),
                "words": In(stream.Signature(config.plane_bits)),
                "turn": Out(TurnPort()),
                "ring": Out(RingPort(config)),
                **({"border": In(border_bits(config))} if config.border_shift else {}),
                "work": Out(Work(config, config.plane_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        orders, ring = self.orders, self.ring

        slices = Signal(range(cfg.act_depth + 1))  # still to come, this one included
        last_slice = Signal()  # this is the last
        first_slice = Signal()
        tile = Signal.like(ring.entry.tile)
        more = Signal.like(ring.entry.more)  # tiles after this one
        last_tile = Signal()  # there are none
        words = Signal.like(ring.entry.words)  # words of the tile after this one
        prime = Signal(2)

        first_word = Signal()
        last_word = Signal()  # there are none
        go = Signal()
        opened = Signal()  # a word is taken if there is one; a register, because it enables much
        m.d.sync += opened.eq(orders.walking & self.turn.next_ready & ~prime[1])
        planes = element(cfg).planes
        stays = Signal(range(planes)) if planes > 1 else None  # cycles before the word goes
        goes = opened if stays is None else opened & (stays == 0)
        m.d.comb += [
            self.words.ready.eq(goes),
            go.eq(self.words.valid & self.words.ready),
            self.work.word.eq(self.words.payload),
            self.work.valid.eq(go if stays is None else self.words.valid & opened),
            self.work.first.eq(first_word),
            self.work.last.eq(last_word if stays is None else last_word & goes),
            self.work.clear.eq(ring.entry.clear & first_slice),
            self.work.shift.eq(ring.entry.shift & first_slice),
            self.work.tile.eq(tile),
        ]
        if cfg.half_steps:
            m.d.comb += self.work.half_step.eq(ring.entry.half_step)
        if cfg.border_shift:
            m.d.comb += self.work.border.eq(self.border)

        # `go` comes late in its cycle, so the kind of the next word is computed beside it. Two
        # steps without a word bring the ring to its first segment.
        segment_ends = Signal()  # with this word
        step = Signal()
        m.d.comb += [
            step.eq(go | prime[0]),
            ring.next.eq(step & segment_ends),
            self.turn.release.eq(go & segment_ends & ring.entry.last),
        ]
        ends = Signal()  # the next word is a tile's last
        last = Signal()  # and its tile a segment's
        with m.If(last_word):
            m.d.comb += [
                ends.eq(Mux(last_tile, ring.ahead.one_word, ring.entry.one_word)),
                last.eq(Mux(last_tile, ring.ahead.one_tile, more == 1)),
            ]
        with m.Else():
            m.d.comb += [ends.eq(words == 1), last.eq(last_tile)]
        with m.If(step):
            m.d.sync += [
                first_word.eq(last_word),
                last_word.eq(ends),
                last_tile.eq(last),
                segment_ends.eq(ends & last),
                words.eq(words - 1),
            ]
            with m.If(last_word):
                m.d.sync += [
                    words.eq(Mux(last_tile, ring.ahead.words, ring.entry.words)),
                    tile.eq(Mux(last_tile, ring.ahead.tile, tile + 1)),
                    more.eq(Mux(last_tile, ring.ahead.more, more - 1)),
                ]
        with m.If(orders.start | prime[1]):
            m.d.sync += [last_word.eq(1), last_tile.eq(1), segment_ends.eq(1)]
        group = Signal.like(orders.group)  # still to come of the group, this slice included
        with m.If(self.turn.release):
            m.d.sync += [
                slices.eq(slices - 1),
                last_slice.eq(slices == 2),
                group.eq(group - 1),
                first_slice.eq(0),
            ]
            with m.If(last_slice):
                m.d.comb += orders.done.eq(1)
                m.d.sync += orders.walking.eq(0)
            with m.Elif(group == 1):
                m.d.comb += self.regroup.eq(1)
                m.d.sync += group.eq(orders.group)

        if stays is not None:
            with m.If(step & last_word):
                m.d.sync += stays.eq(~Mux(last_tile, ring.ahead.words, ring.entry.words))
            with m.Elif(self.work.valid & ~goes):
                m.d.sync += stays.eq(stays - 1)

        m.d.sync += prime.eq(prime >> 1)
        with m.If(orders.start):
            m.d.sync += [
                orders.walking.eq(1),
                slices.eq(orders.slices),
                last_slice.eq(orders.slices == 1),
                group.eq(orders.group),
                first_slice.eq(1),
                prime.eq(0b11),
            ]

        return m
