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
        plane = Signal(3)
        prime = Signal(2)

        # Planes are counted ahead, since all else hangs on the last.
        first_plane = Signal()
        last_plane = Signal()
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

        with m.If(go):
            m.d.sync += [
                plane.eq(plane + 1),
                first_plane.eq(0),
                last_plane.eq(plane + 1 == self.entry.planes),
            ]
            with m.If(last_plane):
                m.d.sync += [
                    plane.eq(0),
                    first_plane.eq(1),
                    last_plane.eq(self.entry.planes == 0),
                    tile.eq(tile + 1),
                    more.eq(more - 1),
                    last_tile.eq(more == 1),
                ]
                with m.If(last_tile):
                    m.d.comb += [self.next.eq(1), self.release.eq(self.entry.last)]
        with m.If(self.next):
            m.d.sync += [
                tile.eq(self.ahead.tile),
                more.eq(self.ahead.more),
                last_tile.eq(self.ahead.single),
                last_plane.eq(self.ahead.planes == 0),
            ]
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

        # Two steps bring the ring to its first segment.
        m.d.sync += prime.eq(prime >> 1)
        with m.If(prime[0]):
            m.d.comb += self.next.eq(1)
        with m.If(self.start):
            m.d.sync += [
                self.walking.eq(1),
                slices.eq(self.slices),
                last_slice.eq(self.slices == 1),
                group.eq(self.group),
                first_slice.eq(1),
                first_plane.eq(1),
                prime.eq(0b11),
            ]

        return m
