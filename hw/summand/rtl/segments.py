"""A GEMM's segment table: received, checked, kept, and walked in a ring."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig, ErrorCode
from summand.isa.limits import PLANES
from summand.isa.structure import SEGMENT_LATENCY, segment_memory, tile_bits
from summand.rtl.compare import exceeds

__all__ = ["Descriptor", "SegmentEntry", "SegmentTable"]


class Descriptor(data.StructLayout):
    """The eight bytes of a segment in the stream; see :class:`summand.isa.segments.Segment`."""

    def __init__(self):
        super().__init__(
            {
                "tile": 16,
                "tiles": 16,
                "planes": 8,
                "clear": 1,
                "shift": 1,
                "scaled": 1,
                "flags": 5,
                "reserved": 16,
            }
        )


class SegmentEntry(data.StructLayout):
    """A checked segment as the walker uses it.

    Members
    -------
    tile : ``tile_bits``
        First tile.
    more : ``tile_bits``
        Tiles after the first.
    planes : 3
        Planes after the first.
    clear, shift : 1
        At the command's first slice.
    scaled : 1
        Its tiles have scales.
    one_tile, one_plane : 1
        There is none after the first.
    last : 1
        The table's last segment.
    """

    def __init__(self, config: EngineConfig):
        bits = tile_bits(config)
        super().__init__(
            {
                "tile": bits,
                "more": bits,
                "planes": 3,
                "clear": 1,
                "shift": 1,
                "scaled": 1,
                "one_tile": 1,
                "one_plane": 1,
                "last": 1,
            }
        )


class SegmentTable(wiring.Component):
    """Check segments one a cycle, keep up to 16, and hand them out in a ring.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    begin : ``In(1)``
        Forget what was there.
    write, descriptor, last : ``In``
        Take a segment; ``last`` marks the table's last.
    checked : ``Out(1)``
        What was written has been looked at.
    error : ``Out(8)``
        The first bad segment's code, or 0; valid :attr:`LATENCY` cycles after the last ``write``.
    low, high : ``In``
        Tiles ``low <= t < high`` are being drained.
    conflict : ``Out(1)``
        Some segment touches them; valid as ``error``.
    scaled_tiles : ``Out``
        Tiles of all scaled segments, if there is no error; valid as ``error``.
    ahead : ``Out(SegmentEntry)``
        What ``entry`` will be after the next step.
    next : ``In(1)``
        Step the ring: ``entry`` becomes the following one, back to the first after the last.
        Two steps after :attr:`rewind`, ``entry`` is the first.
    rewind : ``In(1)``
        The ring's next entry is the first.
    entry : ``Out(SegmentEntry)``
        The current segment.
    """

    #: Cycles from a segment to what is said of it.
    LATENCY = SEGMENT_LATENCY

    begin: Signal
    write: Signal
    descriptor: Any
    last: Signal
    checked: Signal
    error: Signal
    low: Signal
    high: Signal
    conflict: Signal
    scaled_tiles: Signal
    rewind: Signal
    next: Signal
    entry: Any
    ahead: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        tiles = range(config.acc_depth + 1)
        super().__init__(
            {
                "begin": In(1),
                "write": In(1),
                "descriptor": In(Descriptor()),
                "last": In(1),
                "checked": Out(1),
                "error": Out(8),
                "low": In(tiles),
                "high": In(tiles),
                "conflict": Out(1),
                "scaled_tiles": Out(tiles),
                "rewind": In(1),
                "next": In(1),
                "entry": Out(SegmentEntry(config)),
                "ahead": Out(SegmentEntry(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        # Stage 1: what its numbers say.
        seg = self.descriptor
        taken = Signal()
        entry = Signal(SegmentEntry(cfg))
        end = Signal(17)
        tile = Signal(16)
        tiles = Signal(16)
        empty = Signal()
        reserved = Signal()
        bad_planes = Signal()
        m.d.sync += [
            taken.eq(self.write),
            tile.eq(seg.tile),
            tiles.eq(seg.tiles),
            end.eq(seg.tile + seg.tiles),
            empty.eq(seg.tiles == 0),
            bad_planes.eq((seg.planes == 0) | exceeds(seg.planes, PLANES.high)),
            reserved.eq(
                (seg.flags != 0)
                | (seg.reserved != 0)
                | (seg.shift if not cfg.shift else 0)
                | (seg.scaled if not cfg.scale_bits else 0)
            ),
            entry.tile.eq(seg.tile),
            entry.more.eq(seg.tiles - 1),
            entry.one_tile.eq(seg.tiles == 1),
            entry.planes.eq(seg.planes - 1),
            entry.one_plane.eq(seg.planes == 1),
            entry.clear.eq(seg.clear),
            entry.shift.eq(seg.shift),
            entry.scaled.eq(seg.scaled),
            entry.last.eq(self.last),
        ]

        # Stage 2: keep, and compare.
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
            bad_width.eq(bad_planes),
            misplaced.eq(empty | (tile < after) | exceeds(end, cfg.acc_depth)),
            below.eq(tile < self.high),
            above.eq(end > self.low),
        ]
        with m.If(taken):
            m.d.sync += [write.addr.eq(write.addr + 1), after.eq(end)]
            if cfg.scale_bits:
                with m.If(entry.scaled):
                    m.d.sync += self.scaled_tiles.eq(self.scaled_tiles + tiles)

        # Stage 3: the first that fails.
        m.d.comb += self.checked.eq(~self.write & ~taken & ~checking)
        with m.If(checking):
            with m.If(self.error == 0):
                with m.If(bad_flags):
                    m.d.sync += self.error.eq(ErrorCode.RESERVED)
                with m.Elif(misplaced):
                    m.d.sync += self.error.eq(ErrorCode.TILES)
                with m.Elif(bad_width):
                    m.d.sync += self.error.eq(ErrorCode.SEGMENTS)
            with m.If(below & above):
                m.d.sync += self.conflict.eq(1)
        with m.If(self.begin):
            m.d.sync += [write.addr.eq(0), self.error.eq(0), self.conflict.eq(0), after.eq(0)]
            m.d.sync += self.scaled_tiles.eq(0)

        # The ring: a segment can last one cycle only, so the one after it is read ahead.
        read = memory.read_port(domain="comb")
        with m.If(self.next):
            m.d.sync += [
                self.entry.eq(self.ahead),
                self.ahead.eq(read.data),
                read.addr.eq(Mux(read.data.last, 0, read.addr + 1)),
            ]
        with m.If(self.rewind):
            m.d.sync += read.addr.eq(0)

        return m
