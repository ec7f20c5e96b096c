"""A GEMM's segment table: received, checked, kept, and read in a ring."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig, ErrorCode
from summand.isa.latencies import SEGMENT_LATENCY
from summand.isa.structure import segment_memory
from summand.rtl import encodings
from summand.rtl.compare import exceeds
from summand.rtl.encodings import Descriptor
from summand.rtl.ring import RingPort, SegmentEntry

__all__ = ["SegmentPort", "SegmentTable"]


class SegmentPort(wiring.Signature):
    """A GEMM's segments, as the front sends them, and the verdict on them.

    Members
    -------
    begin : ``Out(1)``
        Forget the segments of the GEMM before.
    write : ``Out(1)``
        Take :attr:`descriptor`.
    descriptor : ``Out(Descriptor)``
        A segment.
    last : ``Out(1)``
        It is the table's last.
    low, high : ``Out(range(acc_depth + 1))``
        Tiles ``low`` to ``high - 1`` were given to the last drain.
    rewind : ``Out(1)``
        The ring's next entry is the first.
    checked : ``In(1)``
        There is a verdict on every segment that was written.
    error : ``In(8)``
        Error code of the first bad segment, or 0; valid ``SegmentTable.LATENCY`` cycles after the
        last :attr:`write`.
    stored : ``Out(1)``
        The words come from the operand, so no segment may be scaled or sparse; steady while
        segments come, and only in an engine with an operand.
    conflict : ``In(1)``
        Some segment has a tile from :attr:`low` to ``high - 1``; valid as :attr:`error`.
    """

    def __init__(self, config: EngineConfig):
        tiles = range(config.acc_depth + 1)
        super().__init__(
            {
                "begin": Out(1),
                "write": Out(1),
                "descriptor": Out(Descriptor(config)),
                "last": Out(1),
                "low": Out(tiles),
                "high": Out(tiles),
                "rewind": Out(1),
                "checked": In(1),
                "error": In(8),
                "conflict": In(1),
                **({"stored": Out(1)} if config.operand_depth else {}),
            }
        )


class SegmentTable(wiring.Component):
    """Check segments one a cycle, keep them, and hand them out in a ring.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    orders : ``In(SegmentPort)``
        Segments, and the verdict on them.
    ring : ``In(RingPort)``
        Checked segments.
    plan : ``In(RingPort)``
        The same for what reads sparse segments ahead of the walk; only in an engine with them.
    scaled_tiles : ``Out(range(acc_depth + 1))``
        Tiles of all scaled segments, if there is no error; valid as the verdict.
    """

    #: Cycles from a segment to what is said of it.
    LATENCY = SEGMENT_LATENCY

    orders: Any
    ring: Any
    plan: Any
    scaled_tiles: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "orders": In(SegmentPort(config)),
                "ring": In(RingPort(config)),
                **({"plan": In(RingPort(config))} if config.sparse_block else {}),
                "scaled_tiles": Out(range(config.acc_depth + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        orders, ring = self.orders, self.ring

        # Stage 1: tests of one segment.
        seg = orders.descriptor
        encoding = encodings.parts(cfg)
        words = encoding.tile_words(seg)
        taken = Signal()
        entry = Signal(SegmentEntry(cfg))
        end = Signal(17)
        tile = Signal(16)
        tiles = Signal(16)
        empty = Signal()
        reserved = Signal()
        lacking = (
            (seg.flags != 0)
            | (seg.reserved != 0)
            | (seg.shift if not cfg.shift else 0)
            | (seg.scaled if not cfg.scale_bits else 0)
        )
        if cfg.sparse_block:
            lacking |= encoding.bad_kept(seg)
        if cfg.operand_depth:
            kept = seg.kept.any() if cfg.sparse_block else 0
            lacking |= orders.stored & (seg.scaled | kept)
        bad_words = Signal()
        m.d.sync += [
            taken.eq(orders.write),
            tile.eq(seg.tile),
            tiles.eq(seg.tiles),
            end.eq(seg.tile + seg.tiles),
            empty.eq(seg.tiles == 0),
            bad_words.eq(encoding.refuses(seg)),
            reserved.eq(lacking),
            entry.tile.eq(seg.tile),
            entry.more.eq(seg.tiles - 1),
            entry.one_tile.eq(seg.tiles == 1),
            entry.words.eq(words - 1),
            entry.one_word.eq(words == 1),
            entry.clear.eq(seg.clear),
            entry.shift.eq(seg.shift),
            entry.scaled.eq(seg.scaled),
            entry.last.eq(orders.last),
        ]
        if cfg.half_steps:
            m.d.sync += entry.half_step.eq(seg.half_step)
        if cfg.sparse_block:
            m.d.sync += entry.kept.eq(seg.kept)

        # Stage 2: keep the segment, and compare it with others' ends.
        m.submodules.memory = memory = Memory(
            shape=SegmentEntry(cfg), depth=segment_memory(cfg).depth, init=[]
        )
        write = memory.write_port()
        m.d.comb += [
            write.en.eq(taken),
            write.data.eq(entry),
        ]
        after = Signal(17)  # end of the segment before
        checking = Signal()
        bad_flags, bad_width = Signal(), Signal()
        misplaced = Signal()
        below, above = Signal(), Signal()
        m.d.sync += [
            checking.eq(taken),
            bad_flags.eq(reserved),
            bad_width.eq(bad_words),
            misplaced.eq(empty | (tile < after) | exceeds(end, cfg.acc_depth)),
            below.eq(tile < orders.high),
            above.eq(end > orders.low),
        ]
        with m.If(taken):
            m.d.sync += [write.addr.eq(write.addr + 1), after.eq(end)]
            if cfg.scale_bits:
                with m.If(entry.scaled):
                    m.d.sync += self.scaled_tiles.eq(self.scaled_tiles + tiles)

        # Stage 3: the first test that fails.
        m.d.comb += orders.checked.eq(~orders.write & ~taken & ~checking)
        with m.If(checking):
            with m.If(orders.error == 0):
                with m.If(bad_flags):
                    m.d.sync += orders.error.eq(ErrorCode.RESERVED)
                with m.Elif(misplaced):
                    m.d.sync += orders.error.eq(ErrorCode.TILES)
                with m.Elif(bad_width):
                    m.d.sync += orders.error.eq(ErrorCode.SEGMENTS)
            with m.If(below & above):
                m.d.sync += orders.conflict.eq(1)
        with m.If(orders.begin):
            m.d.sync += [write.addr.eq(0), orders.error.eq(0), orders.conflict.eq(0), after.eq(0)]
            m.d.sync += self.scaled_tiles.eq(0)

        # The ring reads one segment ahead, because a segment may last for one cycle only.
        for readers in (ring, self.plan) if cfg.sparse_block else (ring,):
            read = memory.read_port(domain="comb")
            with m.If(readers.next):
                m.d.sync += [
                    readers.entry.eq(readers.ahead),
                    readers.ahead.eq(read.data),
                    read.addr.eq(Mux(read.data.last, 0, read.addr + 1)),
                ]
            with m.If(orders.rewind):
                m.d.sync += read.addr.eq(0)

        return m
