"""Send a GEMM's plane words into the array, with their orders."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.segments import SegmentEntry
from summand.rtl.token import Work

__all__ = ["Walker"]


class Walker(wiring.Component):
    """Count slices, segments, tiles and planes as plane words go by. A word a cycle.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    start : ``In(1)``
        Begin a walk of ``slices`` slices in groups of ``group``. The segment table must have been
        rewound before.
    regroup : ``Out(1)``
        A group's last word goes in this cycle, and not the walk's.
    walking : ``Out(1)``
        Words are taken when the tables are ready.
    done : ``Out(1)``
        The walk's last word goes in this cycle.
    words : ``In(stream.Signature(plane_bits))``
        Plane words.
    next_ready : ``In(1)``
        The tables hold the current slice in the next cycle; never with ``release``.
    release : ``Out(1)``
        The slice's last word goes in this cycle.
    entry, ahead, next : ``In(SegmentEntry)``, ``In(SegmentEntry)``, ``Out(1)``
        The segment ring.
    work : ``Out(Work)``
        The word and its orders; only the members that speak of plane words are driven.
    """

    words: stream.Interface

    start: Signal
    slices: Signal
    group: Signal
    regroup: Signal
    walking: Signal
    done: Signal
    next_ready: Signal
    release: Signal
    entry: Any
    ahead: Any
    next: Signal
    work: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "slices": In(range(config.act_depth + 1)),
                "group": In(range(config.act_depth + 1)),
                "regroup": Out(1),
                "walking": Out(1),
                "done": Out(1),
                "words": In(stream.Signature(config.plane_bits)),
                "next_ready": In(1),
                "release": Out(1),
                "entry": In(SegmentEntry(config)),
                "ahead": In(SegmentEntry(config)),
                "next": Out(1),
                "work": Out(Work(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        slices = Signal(range(cfg.act_depth + 1))  # still to come, this one included
        last_slice = Signal()  # there is one
        first_slice = Signal()
        tile = Signal.like(self.entry.tile)
        more = Signal.like(self.entry.more)  # tiles after this one
        last_tile = Signal()  # there are none
        planes = Signal.like(self.entry.planes)  # planes after this one
        prime = Signal(2)

        first_plane = Signal()
        last_plane = Signal()  # there are none
        go = Signal()
        opened = Signal()  # words are taken; all that moves hangs on it
        m.d.sync += opened.eq(self.walking & self.next_ready & ~prime[1])
        m.d.comb += [
            self.words.ready.eq(opened),
            go.eq(self.words.valid & self.words.ready),
            self.work.word.eq(self.words.payload),
            self.work.valid.eq(go),
            self.work.first.eq(first_plane),
            self.work.last.eq(last_plane),
            self.work.clear.eq(self.entry.clear & first_slice),
            self.work.shift.eq(self.entry.shift & first_slice),
            self.work.tile.eq(tile),
        ]

        # Whether a word goes is known late: of which kind the next one is, is worked out beside
        # that. Two steps without a word bring the ring to its first segment.
        segment_ends = Signal()  # with this word
        step = Signal()
        m.d.comb += [
            step.eq(go | prime[0]),
            self.next.eq(step & segment_ends),
            self.release.eq(go & segment_ends & self.entry.last),
        ]
        ends = Signal()  # the next word is a tile's last
        last = Signal()  # and its tile a segment's
        with m.If(last_plane):
            m.d.comb += [
                ends.eq(Mux(last_tile, self.ahead.one_plane, self.entry.one_plane)),
                last.eq(Mux(last_tile, self.ahead.one_tile, more == 1)),
            ]
        with m.Else():
            m.d.comb += [ends.eq(planes == 1), last.eq(last_tile)]
        with m.If(step):
            m.d.sync += [
                first_plane.eq(last_plane),
                last_plane.eq(ends),
                last_tile.eq(last),
                segment_ends.eq(ends & last),
                planes.eq(planes - 1),
            ]
            with m.If(last_plane):
                m.d.sync += [
                    planes.eq(Mux(last_tile, self.ahead.planes, self.entry.planes)),
                    tile.eq(Mux(last_tile, self.ahead.tile, tile + 1)),
                    more.eq(Mux(last_tile, self.ahead.more, more - 1)),
                ]
        with m.If(self.start | prime[1]):
            m.d.sync += [last_plane.eq(1), last_tile.eq(1), segment_ends.eq(1)]
        group = Signal.like(self.group)  # still to come of the group, this slice included
        with m.If(self.release):
            m.d.sync += [
                slices.eq(slices - 1),
                last_slice.eq(slices == 2),
                group.eq(group - 1),
                first_slice.eq(0),
            ]
            with m.If(last_slice):
                m.d.comb += self.done.eq(1)
                m.d.sync += self.walking.eq(0)
            with m.Elif(group == 1):
                m.d.comb += self.regroup.eq(1)
                m.d.sync += group.eq(self.group)

        m.d.sync += prime.eq(prime >> 1)
        with m.If(self.start):
            m.d.sync += [
                self.walking.eq(1),
                slices.eq(self.slices),
                last_slice.eq(self.slices == 1),
                group.eq(self.group),
                first_slice.eq(1),
                prime.eq(0b11),
            ]

        return m
