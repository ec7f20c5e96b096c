"""A GEMM's segment table on its way in, and the orders that its header gives."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.limits import SEGMENTS
from summand.rtl.compare import exceeds
from summand.rtl.decoder import HeaderLayout
from summand.rtl.elements.ports import PreparePort
from summand.rtl.encodings import Descriptor
from summand.rtl.items import ItemReader
from summand.rtl.segments import SegmentPort
from summand.rtl.walker import WalkPort

__all__ = ["GemmReader"]


class GemmReader(wiring.Component):
    """Read a GEMM's segments one by one, and order its slices and its walk.

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
        Segments are still to come.
    checked : ``Out(1)``
        All segments have come, and the segment table's verdict is there.
    segments, prepare, walk : ``Out(SegmentPort)``, ``Out(PreparePort)``, ``Out(WalkPort)``
        Orders.
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
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        header = self.header

        m.submodules.descriptors = descriptors = ItemReader(
            Descriptor(cfg), width=cfg.stream_bits, most=SEGMENTS.high
        )
        wiring.connect(m, wiring.flipped(self.i), descriptors.i)
        m.d.comb += [
            descriptors.start.eq(self.begin),
            descriptors.count.eq(header.c),
            self.taking.eq(descriptors.taking),
            self.checked.eq(descriptors.done & self.segments.checked),
            self.segments.begin.eq(self.begin),
            self.segments.write.eq(descriptors.valid),
            self.segments.descriptor.eq(descriptors.item),
            self.segments.last.eq(descriptors.last),
            self.segments.rewind.eq(self.begin_walk),
            self.prepare.start.eq(self.begin),
            self.prepare.addr.eq(header.a * cfg.slice_words),
            self.prepare.slices.eq(header.b),
            self.walk.start.eq(self.begin_walk),
            self.walk.slices.eq(header.b),
        ]
        with m.If(self.begin_drain):
            m.d.sync += [self.segments.low.eq(header.a), self.segments.high.eq(self.reach)]
        # A group that is longer than any walk does the same as one of the longest walk's length.
        all_slices = (header.d == 0) | exceeds(header.d, cfg.act_depth)
        m.d.sync += self.walk.group.eq(Mux(all_slices, cfg.act_depth, header.d))

        return m
