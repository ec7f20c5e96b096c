"""Count through a walk's segments ahead of it, and say which chunks make each of its words."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.rounding import ceil_log2
from summand.rtl.encodings.sparse.gathers import Gather, beat_count_bits, by_kept, patterns
from summand.rtl.ring import RingPort

__all__ = ["PlanPort", "Planner"]


class PlanPort(wiring.Signature):
    """Walks, as what reads their weights needs them.

    Members
    -------
    start : ``Out(1)``
        Begin a walk. The segment table has been rewound in this cycle.
    slices, group : ``Out(range(act_depth + 1))``
        Its slices, and how many share scales.
    grouped : ``Out(1)``
        There are scales: nothing is planned beyond a group.
    regroup : ``Out(1)``
        The last word of a group goes in this cycle, and the walk goes on.
    """

    def __init__(self, config: EngineConfig):
        slices = range(config.act_depth + 1)
        super().__init__(
            {
                "start": Out(1),
                "slices": Out(slices),
                "group": Out(slices),
                "grouped": Out(1),
                "regroup": Out(1),
            }
        )


class Planner(wiring.Component):
    """Order the chunks of a walk's words to be gathered, an order a cycle.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``sparse_block`` is not 0.

    Members
    -------
    walks : ``In(PlanPort)``
        Walks.
    ring : ``Out(RingPort)``
        The segments, read ahead of the walk.
    room : ``In(1)``
        An order may be given; a register.
    give : ``Out(1)``
        :attr:`order` is given.
    order : ``Out(Gather)``
        Chunks to gather.
    wanted : ``Out(beat_count_bits)``
        Count of beats up to the last that any order so far needs.
    """

    walks: Any
    ring: Any
    room: Signal
    give: Signal
    order: Any
    wanted: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "walks": In(PlanPort(config)),
                "ring": Out(RingPort(config)),
                "room": In(1),
                "give": Out(1),
                "order": Out(Gather(config)),
                "wanted": Out(beat_count_bits(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        ring, order = self.ring, self.order
        kept = ring.entry.kept

        planning = Signal()  # orders of the walk are still to come
        waiting = Signal()  # for the next group's scales
        prime = Signal(2)
        apart = Signal()  # the next order is for an index without values
        step = Signal()  # the next order is a word's, and given
        segment_ends = Signal()  # with that word
        m.d.comb += [
            self.give.eq(planning & ~waiting & ~prime.any() & self.room),
            step.eq(self.give & ~apart),
        ]
        first_word = self._count(m, step, prime, apart, segment_ends)
        self._count_slices(m, step & segment_ends & ring.entry.last, planning, waiting)

        # What an order takes, from the segment's pattern.
        found = patterns(self.config)
        block = self.config.sparse_block
        index = [p.index_chunks for p in found]
        whole = [p.kept if p.index_apart else p.index_chunks + p.kept for p in found]
        lead = [0 if p.index_apart else p.index_chunks for p in found]
        values = [p.kept for p in found]

        def chunks(more: int) -> Value:
            """Return how many chunks it takes, and so many more."""
            of_index = by_kept(kept, 0, [n + more for n in index])
            of_first = by_kept(kept, block + more, [n + more for n in whole])
            of_other = by_kept(kept, block + more, [n + more for n in values])
            return Mux(apart, of_index, Mux(first_word, of_first, of_other))

        skip = Mux(apart, by_kept(kept, 0, index), Mux(first_word, by_kept(kept, 0, lead), 0))

        # A segment's last beat in a slice is filled up.
        per_beat = self.config.beat_chunks
        shift = ceil_log2(per_beat)
        chunk = Signal(len(self.wanted) + shift)
        end = Signal.like(chunk)
        beats = Signal.like(self.wanted)
        m.d.comb += [
            end.eq(chunk + chunks(0)),
            beats.eq((chunk + chunks(per_beat - 1)) >> shift),
            order.chunk.eq(chunk),
            order.turn.eq(chunk + skip),
            order.beats.eq(beats),
            order.kept.eq(kept),
            order.index.eq(apart | (first_word & by_kept(kept, 0, [bool(n) for n in lead]))),
            order.word.eq(~apart),
        ]
        with m.If(self.give):
            m.d.sync += [
                self.wanted.eq(beats),
                chunk.eq(Mux(step & segment_ends, beats << shift, end)),
            ]

        return m

    def _count(
        self, m: Module, step: Signal, prime: Signal, apart: Signal, segment_ends: Signal
    ) -> Signal:
        """Count tiles and words, as the walker does; returns whether a word is its tile's first."""
        ring = self.ring
        more = Signal.like(ring.entry.more)  # tiles after this one
        last_tile = Signal()  # there are none
        words = Signal.like(ring.entry.words)  # words of the tile after this one
        last_word = Signal()  # there are none
        first_word = Signal()
        ends = Signal()  # the next word is a tile's last
        last = Signal()  # and its tile a segment's
        m.d.comb += ring.next.eq((step | prime[0]) & segment_ends)
        with m.If(last_word):
            m.d.comb += [
                ends.eq(Mux(last_tile, ring.ahead.one_word, ring.entry.one_word)),
                last.eq(Mux(last_tile, ring.ahead.one_tile, more == 1)),
            ]
        with m.Else():
            m.d.comb += [ends.eq(words == 1), last.eq(last_tile)]
        with m.If(self.give & apart):
            m.d.sync += apart.eq(0)
        with m.If(step | prime[0]):
            m.d.sync += [
                first_word.eq(last_word),
                last_word.eq(ends),
                last_tile.eq(last),
                segment_ends.eq(ends & last),
                words.eq(words - 1),
            ]
            with m.If(last_word):
                kept = Mux(last_tile, ring.ahead.kept, ring.entry.kept)
                m.d.sync += [
                    words.eq(Mux(last_tile, ring.ahead.words, ring.entry.words)),
                    more.eq(Mux(last_tile, ring.ahead.more, more - 1)),
                    apart.eq(by_kept(kept, 0, [p.index_apart for p in patterns(self.config)])),
                ]
        # Two steps without an order bring the ring to its first segment.
        m.d.sync += prime.eq(prime >> 1)
        with m.If(self.walks.start | prime[1]):
            m.d.sync += [last_word.eq(1), last_tile.eq(1), segment_ends.eq(1)]
        with m.If(self.walks.start):
            m.d.sync += prime.eq(0b11)
        return first_word

    def _count_slices(
        self, m: Module, slice_ends: Value, planning: Signal, waiting: Signal
    ) -> None:
        """Plan all slices, and stop at the end of each group that has scales."""
        walks = self.walks
        slices = Signal.like(walks.slices)  # still to come, this one included
        last_slice = Signal()  # this is the last
        group = Signal.like(walks.group)  # still to come of the group, this slice included
        with m.If(slice_ends):
            m.d.sync += [
                slices.eq(slices - 1),
                last_slice.eq(slices == 2),
                group.eq(group - 1),
            ]
            with m.If(last_slice):
                m.d.sync += planning.eq(0)
            with m.Elif(group == 1):
                m.d.sync += [waiting.eq(walks.grouped), group.eq(walks.group)]
        with m.If(walks.regroup):
            m.d.sync += waiting.eq(0)
        with m.If(walks.start):
            m.d.sync += [
                planning.eq(1),
                slices.eq(walks.slices),
                last_slice.eq(walks.slices == 1),
                group.eq(walks.group),
            ]
