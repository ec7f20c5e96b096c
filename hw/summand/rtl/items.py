"""A payload of narrow items, parameters or segments, out of wide beats."""

from typing import Any

from amaranth import *
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa.latencies import ITEM_LATENCY
from summand.rtl.mux import choose

__all__ = ["ItemReader"]


class ItemReader(wiring.Component):
    """Cut beats into items, an item a cycle; of items wider than a beat, take a beat a cycle.

    Parameters
    ----------
    shape : shape-like
        An item. Its width is the beat's, times or divided by a power of two.
    width : int
        Bits of a beat.
    most : int
        Most items of a payload.

    Members
    -------
    start : ``In(1)``
        Begin a payload of :attr:`count` items.
    count : ``In(range(most + 1))``
        Items of the payload, at least one; steady from the cycle before :attr:`start` on.
    i : ``In(stream.Signature(width))``
        Beats; only taken while :attr:`taking`. Padding in the last beat is dropped.
    taking : ``Out(1)``
        Items are still to come.
    item : ``Out(shape)``
        An item, :attr:`LATENCY` cycles after the beat with its end was taken.
    valid : ``Out(1)``
        There is one.
    last : ``Out(1)``
        It is the payload's last.
    done : ``Out(1)``
        All items have come before this cycle.
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
        # All three are registers, because the path from `i.ready` back to the inlet is long.
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
        # Items are cut from a register of the beat, because it goes to many flip-flops.
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
