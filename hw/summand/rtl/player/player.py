"""Carries out items."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from summand.isa import EngineConfig
from summand.isa.player import Refusal
from summand.rtl.delay import delayed
from summand.rtl.memory.port import ADDRESS_BITS, MemoryPort
from summand.rtl.player.checksum import BeatChecksum
from summand.rtl.player.head import ItemHead
from summand.rtl.stream import StreamRegister

__all__ = ["Player"]


class Player(wiring.Component):
    """Make an engine's stream of items: beats that come with them, and beats of a memory.

    Items are carried out strictly in order, a beat a cycle. An item that is refused, or whose beats
    the memory refuses, stops the player: its input is dropped until :attr:`stop`. ::

        i > ItemHead
          > ------------- LITERAL > StreamRegister > o
                    PLAY ^
        memory.beats > --+- CRC > BeatChecksum
        memory.data  < ------ WRITE < i

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine's.
    memory_beats : int
        The memory's size, 1 to ``2**32 - 1``.

    Members
    -------
    i : ``In(stream.Signature(stream_bits))``
        Items.
    o : ``Out(stream.Signature(stream_bits))``
        The engine's stream.
    memory : ``Out(MemoryPort(stream_bits))``
        The memory.
    stop : ``In(1)``
        Drop everything and begin anew. High until :attr:`MemoryPort.idle` is.
    busy : ``Out(1)``
        An item is under way.
    error : ``Out(8)``
        Why it stopped, a :class:`~summand.isa.player.Refusal`; 0 after :attr:`stop`.
    items : ``Out(32)``
        Items finished.
    crc : ``Out(32)``
        Of the last CRC item that finished.
    """

    i: stream.Interface
    o: stream.Interface
    memory: Any
    stop: Signal
    busy: Signal
    error: Signal
    items: Signal
    crc: Signal

    def __init__(self, config: EngineConfig, memory_beats: int):
        self.config = config
        self.memory_beats = memory_beats
        super().__init__(
            {
                "i": In(stream.Signature(config.stream_bits)),
                "o": Out(stream.Signature(config.stream_bits)),
                "memory": Out(MemoryPort(config.stream_bits)),
                "stop": In(1),
                "busy": Out(1),
                "error": Out(8),
                "items": Out(32),
                "crc": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits, memory = self.config.stream_bits, self.memory

        m.submodules.head = head = ResetInserter(self.stop)(
            ItemHead(self.config, self.memory_beats)
        )
        m.submodules.out = out = ResetInserter(self.stop)(StreamRegister(bits))
        m.submodules.checksum = checksum = ResetInserter(self.stop)(BeatChecksum(bits))
        connect(m, out.o, flipped(self.o))
        op, run = head.op, head.run
        checked = delayed(m, head.whole, head.LATENCY, "checked")

        left = Signal(ADDRESS_BITS)  # beats to come, but for the present one
        final = Signal()  # none
        moved = Signal()
        failed = Signal()  # the memory has refused what this item wrote
        m.d.comb += [
            head.i.payload.eq(self.i.payload),
            head.i.valid.eq(self.i.valid),
            out.i.payload.eq(Mux(op.PLAY, memory.beats.p.data, self.i.payload)),
            checksum.i.payload.eq(memory.beats.p.data),
            memory.data.payload.eq(self.i.payload),
            memory.reads.p.eq(run),
            memory.writes.p.eq(run),
        ]
        m.d.sync += failed.eq((failed | memory.failed) & self.busy)

        with m.FSM(name="item") as fsm:
            m.d.comb += [
                self.busy.eq(~fsm.ongoing("head") & ~fsm.ongoing("stopped")),
                memory.abort.eq(self.stop | fsm.ongoing("stopped")),
            ]
            with m.State("head"):
                m.d.comb += [head.take.eq(~self.stop), self.i.ready.eq(~self.stop)]
                with m.If(head.whole):
                    m.next = "check"
            with m.State("check"):
                m.d.sync += [left.eq(run.beats - 1), final.eq(run.beats == 1)]
                m.d.comb += checksum.start.eq(op.CRC)
                with m.If(checked):
                    with m.If(head.error != Refusal.OK):
                        m.d.sync += self.error.eq(head.error)
                        m.next = "stopped"
                    with m.Elif(head.empty):
                        m.next = "settle"
                    with m.Elif(op.LITERAL):
                        m.next = "move"
                    with m.Else():
                        m.next = "ask"
            with m.State("ask"):
                # What was written before can be read when the memory is idle.
                write = Signal()
                m.d.comb += [
                    write.eq(op.WRITE),
                    memory.reads.valid.eq(memory.idle & ~write),
                    memory.writes.valid.eq(memory.idle & write),
                ]
                with m.If(memory.idle & Mux(write, memory.writes.ready, memory.reads.ready)):
                    m.next = "move"
            with m.State("move"):
                with m.If(op.LITERAL):
                    m.d.comb += [
                        out.i.valid.eq(self.i.valid),
                        self.i.ready.eq(out.i.ready),
                        moved.eq(self.i.valid & out.i.ready),
                    ]
                with m.If(op.PLAY):
                    m.d.comb += [
                        out.i.valid.eq(memory.beats.valid & ~memory.beats.p.failed),
                        memory.beats.ready.eq(out.i.ready),
                        moved.eq(memory.beats.valid & out.i.ready),
                    ]
                with m.If(op.WRITE):
                    m.d.comb += [
                        memory.data.valid.eq(self.i.valid),
                        self.i.ready.eq(memory.data.ready),
                        moved.eq(self.i.valid & memory.data.ready),
                    ]
                with m.If(op.CRC):
                    m.d.comb += [
                        checksum.i.valid.eq(memory.beats.valid),
                        memory.beats.ready.eq(checksum.i.ready),
                        moved.eq(memory.beats.valid & checksum.i.ready),
                    ]
                with m.If(moved):
                    m.d.sync += [left.eq(left - 1), final.eq(left == 1)]
                    with m.If(final):
                        m.next = "settle"
                with m.If((op.PLAY | op.CRC) & moved & memory.beats.p.failed):
                    m.d.sync += self.error.eq(Refusal.MEMORY)
                    m.next = "stopped"
            with m.State("settle"):
                # Whether a beat was refused is known when the memory is idle.
                with m.If(failed):
                    m.d.sync += self.error.eq(Refusal.MEMORY)
                    m.next = "stopped"
                with m.Elif(op.LITERAL | op.PLAY | (memory.idle & ~memory.failed & ~checksum.busy)):
                    m.d.sync += self.items.eq(self.items + 1)
                    with m.If(op.CRC):
                        m.d.sync += self.crc.eq(checksum.crc)
                    m.next = "head"
            with m.State("stopped"):
                m.d.comb += self.i.ready.eq(~self.stop)

        return ResetInserter(self.stop)(m)
