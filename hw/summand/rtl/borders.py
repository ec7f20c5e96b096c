"""A GEMM's borders: received, checked, kept, and met slice by slice."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.latencies import SEGMENT_LATENCY
from summand.isa.structure import border_memory
from summand.isa.widths import border_bits, slice_bits
from summand.rtl.compare import exceeds

__all__ = ["BorderDescriptor", "BorderPort", "BorderTable"]


class BorderDescriptor(data.StructLayout):
    """The eight bytes of a border in the stream; see :class:`summand.isa.borders.Border`."""

    def __init__(self):
        super().__init__({"slice": 16, "shift": 8, "reserved": 40})


class BorderPort(wiring.Signature):
    """A GEMM's borders, as the front sends them, and the verdict on them.

    Members
    -------
    begin : ``Out(1)``
        Forget the borders of the GEMM before.
    write : ``Out(1)``
        Take :attr:`descriptor`.
    descriptor : ``Out(BorderDescriptor)``
        A border.
    slices : ``Out(16)``
        Slices of the walk.
    shifted : ``Out(1)``
        A segment has the shift flag, so that no border may be at slice 0.
    checked : ``In(1)``
        There is a verdict on every border that was written.
    refused : ``In(1)``
        Some border is bad; valid ``BorderTable.LATENCY`` cycles after the last :attr:`write`.
    """

    def __init__(self):
        super().__init__(
            {
                "begin": Out(1),
                "write": Out(1),
                "descriptor": Out(BorderDescriptor()),
                "slices": Out(16),
                "shifted": Out(1),
                "checked": In(1),
                "refused": In(1),
            }
        )


class _Entry(data.StructLayout):
    """A border as it is kept."""

    def __init__(self, config: EngineConfig):
        super().__init__({"slice": slice_bits(config), "shift": border_bits(config)})


class BorderTable(wiring.Component):
    """Check borders one a cycle, keep them, and say which slice of a walk has one.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``border_shift`` is not 0.

    Members
    -------
    orders : ``In(BorderPort)``
        Borders, and the verdict on them.
    rewind : ``In(1)``
        A walk begins with slice 0.
    step : ``In(1)``
        Its next slice begins.
    shift : ``Out(border_bits)``
        How far the slice's border shifts, 0 without one; valid two cycles after :attr:`rewind` or
        :attr:`step`. The first word comes later.
    """

    #: Cycles from a border to what is said of it: as many as with a segment.
    LATENCY = SEGMENT_LATENCY

    orders: Any
    rewind: Signal
    step: Signal
    shift: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "orders": In(BorderPort()),
                "rewind": In(1),
                "step": In(1),
                "shift": Out(border_bits(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        orders = self.orders

        # Stage 1: tests of one border.
        border = orders.descriptor
        taken = Signal()
        entry = Signal(_Entry(cfg))
        bad_fields, beyond, first = Signal(), Signal(), Signal()
        m.d.sync += [
            taken.eq(orders.write),
            entry.slice.eq(border.slice),
            entry.shift.eq(border.shift),
            bad_fields.eq(
                (border.shift == 0)
                | exceeds(border.shift, cfg.border_shift)
                | (border.reserved != 0)
            ),
            beyond.eq(border.slice >= orders.slices),
            first.eq(border.slice == 0),
        ]

        # Stage 2: keep the border, and compare it with the one before. Where the low bits of its
        # slice are not the whole it is beyond the walk.
        m.submodules.memory = memory = Memory(
            shape=_Entry(cfg), depth=border_memory(cfg).depth, init=[]
        )
        write = memory.write_port()
        m.d.comb += [write.en.eq(taken), write.data.eq(entry)]
        before = Signal.like(entry.slice)
        some = Signal()
        checking, bad = Signal(), Signal()
        m.d.sync += [
            checking.eq(taken),
            bad.eq(
                bad_fields | beyond | (first & orders.shifted) | (some & (entry.slice <= before))
            ),
        ]
        with m.If(taken):
            m.d.sync += [write.addr.eq(write.addr + 1), before.eq(entry.slice), some.eq(1)]

        # Stage 3: whether any is bad.
        m.d.comb += orders.checked.eq(~orders.write & ~taken & ~checking)
        with m.If(checking & bad):
            m.d.sync += orders.refused.eq(1)
        with m.If(orders.begin):
            m.d.sync += [write.addr.eq(0), some.eq(0), orders.refused.eq(0)]

        # The next border waits for its slice.
        read = memory.read_port(domain="comb")
        here = Signal.like(entry.slice)
        met = (read.addr != write.addr) & (read.data.slice == here)
        m.d.sync += self.shift.eq(Mux(met, read.data.shift, 0))
        with m.If(self.step):
            m.d.sync += here.eq(here + 1)
            with m.If(self.shift != 0):
                m.d.sync += read.addr.eq(read.addr + 1)
        with m.If(self.rewind):
            m.d.sync += [here.eq(0), read.addr.eq(0)]

        return m
