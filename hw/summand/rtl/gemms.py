"""A GEMM's segment table on its way in, and the orders that its header gives."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.limits import BORDERS, SEGMENTS
from summand.rtl.borders import BorderPort
from summand.rtl.compare import exceeds
from summand.rtl.decoder import HeaderLayout
from summand.rtl.elements.ports import PreparePort
from summand.rtl.encodings import Descriptor
from summand.rtl.items import ItemReader
from summand.rtl.segments import SegmentPort
from summand.rtl.walker import WalkPort

__all__ = ["GemmReader"]


class GemmReader(wiring.Component):
    """Read a GEMM's segments and borders one by one, and order its slices and its walk.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    header, reach : ``In(HeaderLayout)``, ``In(17)``
        The current command's, and its ``a + b``; steady from some cycles before an order on.
    begin : ``In(1)``
        Segments follow, and the first slice can be prepared.
    begin_walk : ``In(1)``
        Scales and words follow.
    begin_drain : ``In(1)``
        The current command's tiles are drained: keep them, for conflicts with later segments.
    i : ``In(stream.Signature(stream_bits))``
        Beats; only taken while :attr:`taking`.
    taking : ``Out(1)``
        Segments or borders are still to come.
    checked : ``Out(1)``
        All have come, and the tables' verdicts are there.
    segments, prepare, walk : ``Out(SegmentPort)``, ``Out(PreparePort)``, ``Out(WalkPort)``
        Orders.
    borders : ``Out(BorderPort)``
        Orders; only in an engine with borders.
    """

    header: Any
    reach: Signal
    begin: Signal
    begin_walk: Signal
    begin_drain: Signal
    i: stream.Interface
    taking: Signal
    checked: Signal
    segments: Any
    prepare: Any
    walk: Any
    borders: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "header": In(HeaderLayout()),
                "reach": In(17),
                "begin": In(1),
                "begin_walk": In(1),
                "begin_drain": In(1),
                "i": In(stream.Signature(config.stream_bits)),
                "taking": Out(1),
                "checked": Out(1),
                "segments": Out(SegmentPort(config)),
                "prepare": Out(PreparePort(config)),
                "walk": Out(WalkPort(config)),
                **({"borders": Out(BorderPort())} if config.border_shift else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        header = self.header

        most = SEGMENTS.high + BORDERS.high * (cfg.border_shift > 0)
        m.submodules.descriptors = descriptors = ItemReader(
            Descriptor(cfg), width=cfg.stream_bits, most=most
        )
        wiring.connect(m, wiring.flipped(self.i), descriptors.i)
        # Bits above a count's are cut off, and with them a stored GEMM's mark.
        count, checked = header.c, self.segments.checked
        segment, last_segment = descriptors.valid, descriptors.last
        if cfg.operand_depth:
            m.d.comb += self.segments.stored.eq(header.flags[-1])
        if cfg.border_shift:
            count, checked = count + header.flags, checked & self.borders.checked
            segment, last_segment = self._parted(m, descriptors)
        m.d.comb += [
            descriptors.start.eq(self.begin),
            descriptors.count.eq(count),
            self.taking.eq(descriptors.taking),
            self.checked.eq(descriptors.done & checked),
            self.segments.begin.eq(self.begin),
            self.segments.write.eq(segment),
            self.segments.descriptor.eq(descriptors.item),
            self.segments.last.eq(last_segment),
            self.segments.rewind.eq(self.begin_walk),
            self.prepare.start.eq(self.begin),
            self.prepare.addr.eq(header.a * cfg.slice_words),
            self.prepare.slices.eq(header.b),
            self.walk.start.eq(self.begin_walk),
            self.walk.slices.eq(header.b),
        ]
        with m.If(self.begin_drain):
            m.d.sync += [self.segments.low.eq(header.a), self.segments.high.eq(self.reach)]
        # A group that is longer than any walk does the same as one of the longest walk's length. A
        # stored GEMM has a word in its place, and nothing scaled that would begin another group.
        all_slices = (header.d == 0) | exceeds(header.d, cfg.act_depth)
        m.d.sync += self.walk.group.eq(Mux(all_slices, cfg.act_depth, header.d))

        return m

    def _parted(self, m: Module, descriptors: ItemReader) -> tuple[Value, Value]:
        """Send on what comes behind the segments as borders.

        Returns whether an item is a segment, and whether that is the last one.
        """
        left = Signal(range(SEGMENTS.high + 1))  # segments still to come
        segment = descriptors.valid & (left != 0)
        with m.If(self.begin):
            m.d.sync += [left.eq(self.header.c), self.borders.shifted.eq(0)]
        with m.Elif(segment):
            m.d.sync += left.eq(left - 1)
            with m.If(descriptors.item.shift):
                m.d.sync += self.borders.shifted.eq(1)
        m.d.comb += [
            self.borders.begin.eq(self.begin),
            self.borders.write.eq(descriptors.valid & (left == 0)),
            self.borders.descriptor.as_value().eq(descriptors.item.as_value()),
            self.borders.slices.eq(self.header.b),
        ]
        return segment, left == 1
