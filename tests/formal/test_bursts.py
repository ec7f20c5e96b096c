"""Bursts cover their runs, beat after beat, and none leaves its 4 KB."""

import pytest
from amaranth import *
from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume

from summand.rtl.memory.axi.bursts import BurstCutter
from summand.rtl.memory.axi.bus import PAGE_BITS, AxiConfig

#: Two bursts of a page; four of 4 KB; both with two under way.
HALF_PAGES = AxiConfig(stream_bits=64, address_bits=32, burst_beats=256, bursts=2)
WIDE = AxiConfig(stream_bits=512, address_bits=64, burst_beats=16, bursts=2)


class Spec(Elaboratable):
    """A cutter whose runs lie within the bus, and whose bursts end whenever they like."""

    def __init__(self, config: AxiConfig):
        self.config = config

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        m.submodules.dut = dut = BurstCutter(cfg)
        run = dut.runs.payload
        m.d.comb += [
            dut.runs.valid.eq(AnySeq(1)),
            run.eq(AnySeq(len(Value.cast(run)))),
            dut.base.eq(AnyConst(len(dut.base))),
            dut.abort.eq(AnySeq(1)),
            dut.room.eq(AnySeq(1)),
            dut.o.ready.eq(AnySeq(1)),
            dut.ended.eq(AnySeq(1)),
        ]
        m.d.comb += Assume(run.address + run.beats <= 1 << cfg.run_bits, "a run is in the memory")
        m.d.comb += Assume(run.beats > 0, "and not empty")

        # The beats of the run that no burst has asked for.
        next_beat = Signal(cfg.run_bits)
        left = Signal(cfg.run_bits + 1)
        taken = dut.runs.valid & dut.runs.ready
        beats = Signal(cfg.length_bits + 1)
        m.d.comb += beats.eq(dut.o.p.more + 1)
        with m.If(taken):
            m.d.sync += [next_beat.eq(run.address), left.eq(run.beats)]
        with m.Elif(dut.began):
            m.d.sync += [next_beat.eq(next_beat + beats), left.eq(left - beats)]
        with m.If(dut.abort):
            m.d.sync += left.eq(0)

        offered, held = Signal(), Signal(len(Value.cast(dut.o.payload)))
        m.d.sync += [offered.eq(dut.o.valid & ~dut.o.ready), held.eq(dut.o.payload)]
        with m.If(offered):
            m.d.comb += Assert(dut.o.valid & (dut.o.payload.as_value() == held), "it stays")

        aborted = Signal()  # since the last run was taken
        m.d.sync += aborted.eq((aborted | dut.abort) & ~taken)
        first = dut.o.p.address
        last = Signal.like(first)
        m.d.comb += last.eq(first + (dut.o.p.more << cfg.size))
        where = (dut.base << PAGE_BITS) + (next_beat << cfg.size)
        with m.If(dut.began & ~aborted):
            m.d.comb += [
                Assert(first == where[: cfg.address_bits], "it begins where the last one ended"),
                Assert(beats <= left, "and does not leave the run"),
            ]
        with m.If(dut.o.valid):
            m.d.comb += Assert(first[PAGE_BITS:] == last[PAGE_BITS:], "nor its 4 KB")
        under_way = Signal(range(cfg.bursts + 2))
        ends = dut.ended & (under_way > 0)
        m.d.sync += under_way.eq(under_way + dut.began - ends)
        m.d.comb += Assert(under_way + dut.began <= cfg.bursts, "no more are under way")
        with m.If(dut.idle & ~aborted):
            m.d.comb += Assert(left == 0, "a run is over when all of it was asked for")
        return m


@pytest.mark.parametrize("config", [HALF_PAGES, WIDE], ids=["half-pages", "wide"])
def test_bursts_cover_their_runs_within_pages(prove, config):
    prove(Spec(config), 9, bounded=True)
