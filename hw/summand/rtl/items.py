"""Narrow things in wide beats: a payload's parameters or segments, one by one."""

from typing import Any

from amaranth import *
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa.structure import ITEM_LATENCY
from summand.rtl.mux import choose

__all__ = ["ItemReader"]


class ItemReader(wiring.Component):
    """Cut beats into items: an item a cycle, or, where it is wider than a beat, a beat a cycle.

    Parameters
    ----------
    shape : shape-like
        An item: as wide as a beat times or divided by a power of two.
    width : int
        Bits of a beat.
    most : int
        Items in one go.

    Members
    -------
    start, count : ``In``
        Take this many items, at least one. The count stands already in the cycle before.
    i : ``In(stream.Signature(width))``
        Beats; only taken while ``taking``. What pads the last one is dropped.
    taking : ``Out(1)``
        Items are still to come.
    item, valid, last : ``Out(shape)``, ``Out(1)``, ``Out(1)``
        An item, :attr:`LATENCY` cycles after the beat with its end stood at ``i``.
    done : ``Out(1)``
        No item is to come, nor comes in this cycle.
    """

    #: Cycles from a beat to the item that ends with it.
    LATENCY = ITEM_LATENCY

    start: Signal
    count: Signal
    i: stream.Interface
    taking: Signal
    item: Any
    valid: Signal
    last: Signal
    done: Signal

    def __init__(self, shape: ShapeLike, *, width: int, most: int):
        self.width = width
        super().__init__(
            {
                "start": In(1),
                "count": In(range(most + 1)),
                "i": In(stream.Signature(width)),
                "taking": Out(1),
                "item": Out(shape),
                "valid": Out(1),
                "last": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        item = Value.cast(self.item)
        per_beat = max(1, self.width // len(item))
        per_item = max(1, len(item) // self.width)
        left = Signal.like(self.count)
        # Registers, all three: from `i.ready` on it is a long way back to the inlet.
        final = Signal()  # one item is left
        whole = Signal()  # the beat ends with this item
        ends = Signal()  # and the item with this beat
        place = Signal(range(per_beat))
        part = Signal(range(per_item))
        next_place = Mux(whole, 0, place + 1)
        next_part = Mux(ends, 0, part + 1)
        single = Signal()
        m.d.sync += single.eq(self.count == 1)
        step = self.taking & self.i.valid
        # The cycle before, for what is cut: a beat is spread wide.
        beat = Signal(self.width, reset_less=True)
        stepped, ended, finished = Signal(), Signal(), Signal()
        at = Signal.like(place)
        m.d.comb += [
            self.i.ready.eq(self.taking & whole),
            self.done.eq(~self.taking & ~ended & ~self.valid),
        ]
        m.d.sync += [
            beat.eq(self.i.payload),
            at.eq(place),
            stepped.eq(step),
            ended.eq(step & ends),
            finished.eq(final),
            self.valid.eq(ended),
            self.last.eq(finished),
        ]
        if per_item == 1:
            m.d.sync += item.eq(choose(m, beat, at, len(item)))
        else:
            with m.If(stepped):
                m.d.sync += item.eq(Cat(item[self.width :], beat))
        with m.If(step):
            m.d.sync += [part.eq(next_part), ends.eq(next_part == per_item - 1)]
        with m.If(step & ends):
            m.d.sync += [
                left.eq(left - 1),
                place.eq(next_place),
                final.eq(left == 2),
                whole.eq((left == 2) | (next_place == per_beat - 1)),
            ]
            with m.If(final):
                m.d.sync += self.taking.eq(0)
        with m.If(self.start):
            m.d.sync += [
                self.taking.eq(1),
                left.eq(self.count),
                final.eq(single),
                whole.eq(single | (per_beat == 1)),
                ends.eq(per_item == 1),
            ]

        return m
