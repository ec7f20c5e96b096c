"""An item's head: put together from beats, and checked."""

from functools import reduce
from operator import xor
from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.header import HEADER_BYTES
from summand.isa.player import ItemOp, Refusal
from summand.isa.player.items import ITEM_CHECK
from summand.rtl.memory.port import Run

__all__ = ["ItemHead"]


class _HeadLayout(data.StructLayout):
    """The sixteen bytes; :class:`~summand.isa.player.Item` describes them."""

    def __init__(self):
        super().__init__(
            {"op": 8, "flags": 8, "check": 16, "beats": 32, "address": 32, "reserved": 32}
        )


class ItemHead(wiring.Component):
    """Take the beats of an item's head while asked to, and check it.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine's.
    memory_beats : int
        The memory's size.

    Members
    -------
    i : ``In(stream.Signature(stream_bits))``
        Beats; only taken while :attr:`take`.
    take : ``In(1)``
        Take the next head; low from the cycle after :attr:`whole` on, until it was dealt with.
    whole : ``Out(1)``
        The head is whole with this beat. What follows is steady :attr:`LATENCY` cycles later.
    error : ``Out(8)``
        A :class:`~summand.isa.player.Refusal`.
    op : ``Out``, a bit for each :class:`~summand.isa.player.ItemOp` by name
        The operation.
    run : ``Out(Run())``
        The item's beats, and where they are in the memory.
    empty : ``Out(1)``
        It has none.
    """

    #: Cycles from the last beat to the checks' results.
    LATENCY = 4

    i: stream.Interface
    take: Signal
    whole: Signal
    error: Signal
    op: Any
    run: Any
    empty: Signal

    def __init__(self, config: EngineConfig, memory_beats: int):
        self.config = config
        self.memory_beats = memory_beats
        super().__init__(
            {
                "i": In(stream.Signature(config.stream_bits)),
                "take": In(1),
                "whole": Out(1),
                "error": Out(8),
                "op": Out(data.StructLayout({op.name: 1 for op in ItemOp})),
                "run": Out(Run()),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        head = Signal(_HeadLayout(), reset_less=True)
        bits = head.as_value()
        part = Signal(range(cfg.header_beats))
        m.d.comb += [
            self.i.ready.eq(self.take),
            self.whole.eq(self.take & self.i.valid & (part == cfg.header_beats - 1)),
        ]
        with m.If(self.take & self.i.valid):
            m.d.sync += [
                bits.eq(
                    Cat(bits, self.i.payload)[-len(bits) :]
                    if cfg.header_beats > 1
                    else self.i.payload[: len(bits)]
                ),
                part.eq(Mux(self.whole, 0, part + 1)),
            ]

        # In a cycle each: sums of the fields, and comparisons; the first that fails.
        halves = [bits[n : n + 16] for n in range(0, 8 * HEADER_BYTES, 16)]
        folded = Signal(16)
        end = Signal(33)
        wrong, unknown, reserved, beyond = (
            Signal(name=name) for name in ("wrong", "unknown", "reserved", "beyond")
        )
        extra = Signal()
        m.d.sync += [
            folded.eq(reduce(xor, halves)),
            end.eq(head.address + head.beats),
            extra.eq(head.flags.any() | head.reserved.any()),
            self.empty.eq(head.beats == 0),
            wrong.eq(folded != ITEM_CHECK),
            unknown.eq(~self.op.as_value().any()),
            reserved.eq(extra | (self.op.LITERAL & head.address.any())),
            beyond.eq(~self.op.LITERAL & (end > self.memory_beats)),
        ]
        for op in ItemOp:
            m.d.sync += self.op[op.name].eq(head.op == op)
        with m.If(wrong):
            m.d.sync += self.error.eq(Refusal.CHECK)
        with m.Elif(unknown):
            m.d.sync += self.error.eq(Refusal.OP)
        with m.Elif(reserved):
            m.d.sync += self.error.eq(Refusal.RESERVED)
        with m.Elif(beyond):
            m.d.sync += self.error.eq(Refusal.ADDRESS)
        with m.Else():
            m.d.sync += self.error.eq(Refusal.OK)
        m.d.comb += [self.run.address.eq(head.address), self.run.beats.eq(head.beats)]

        return m
