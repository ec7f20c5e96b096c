"""The requantiser's rounding and saturation, for every accumulator, shift and width."""

import dataclasses

from amaranth import *
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume

from summand.isa import EngineConfig
from summand.isa.limits import PLANES, SHIFT
from summand.isa.structure import requantise_latency
from summand.rtl.requantise import Requantiser

#: The smallest engine: one tile is one word of four activations.
CONFIG = EngineConfig(
    cols=4, depth=8, stream_bits=32, act_bits=4, acc_bits=16, acc_depth=16, act_depth=2,
    requant_depth=16,
)  # fmt: skip


#: The same with casts.
CASTING = dataclasses.replace(CONFIG, operand_depth=256)


class Spec(Elaboratable):
    """One command of one tile after reset; only the first accumulator and parameter matter."""

    #: Multipliers up to this width: wider ones cost the solver minutes.
    MULT_BITS = 3
    #: Cycle by which the word is written: command, parameters, tile, and two spare cycles.
    END = 1 + CONFIG.cols + CONFIG.beat_elems + requantise_latency(CONFIG) + 3

    def elaborate(self, platform):
        m = Module()
        dut, total, shift, cycle = _command(m, CONFIG, self.MULT_BITS)

        want = Signal(signed(CONFIG.act_bits))
        m.d.comb += want.eq(_clipped(total >> shift, CONFIG.act_min, CONFIG.act_max))
        with m.If(dut.o.valid):
            first = dut.o.p.word[: CONFIG.act_bits].as_signed()
            m.d.comb += Assert(first == want, "rounds halves up, and saturates")
        seen = Signal()
        m.d.sync += seen.eq(seen | dut.o.valid)
        m.d.comb += Assert((cycle < self.END) | seen, "the word comes")
        return m


class CastSpec(Elaboratable):
    """The same of a CAST of any number of planes."""

    MULT_BITS = 3
    #: Cycle by which all planes are written.
    END = 1 + 2 * CASTING.cols + requantise_latency(CASTING) + PLANES.high + 4

    def elaborate(self, platform):
        m = Module()
        dut, total, shift, cycle = _command(m, CASTING, self.MULT_BITS)

        planes = Signal(4)
        m.d.comb += [
            planes.eq(AnyConst(4)),
            Assume((planes >= PLANES.low) & (planes <= PLANES.high), "as the front checks"),
            dut.orders.casts.eq(1),
            dut.orders.cast.planes.eq(planes),
        ]
        top, want = Signal(9), Signal(signed(8))
        m.d.comb += [
            top.eq((Const(1, 8) << (planes - 1)[:3])[:8]),
            want.eq(_clipped(total >> shift, -top, top - 1)),
        ]
        written = Signal(4)
        m.d.sync += written.eq(written + dut.operand.valid)
        with m.If(dut.operand.valid):
            m.d.comb += [
                Assert(dut.operand.addr == planes - 1 - written, "planes end at the first word"),
                Assert(dut.operand.bits[0] == want.bit_select(written[:3], 1), "the plane's bit"),
            ]
        m.d.comb += [
            Assert(
                dut.orders.written == (dut.operand.valid & (written == planes - 1)),
                "the last is told",
            ),
            Assert((cycle < self.END) | (written == planes), "all planes come"),
            Assert(~dut.o.valid, "no activations come"),
        ]
        return m


def _command(m: Module, cfg: EngineConfig, mult_bits: int):
    """Give a requantiser a command; returns it, the sum to shift, the shift, and the cycle."""
    m.submodules.dut = dut = Requantiser(cfg)

    acc, mult, shift = Signal(signed(16)), Signal(mult_bits), Signal(6)
    m.d.comb += [
        acc.eq(AnyConst(16)),
        mult.eq(AnyConst(mult_bits)),
        shift.eq(AnyConst(6)),
        Assume((shift >= SHIFT.low) & (shift <= SHIFT.high), "as the front checks"),
        Assume(~ResetSignal(), "no reset"),
    ]

    cycle, sent = Signal(6), Signal()
    m.d.sync += cycle.eq(cycle + 1)
    m.d.comb += [
        dut.orders.start.eq(cycle == 0),
        dut.orders.param_valid.eq((cycle >= 1) & (cycle <= cfg.cols)),
        dut.orders.param.mult.eq(mult),
        dut.orders.param.shift.eq(shift),
        dut.i.valid.eq((cycle > cfg.cols + 1) & ~sent),
        dut.i.p.row_ends.eq(1),
        dut.i.p.final.eq(1),
        dut.i.p.acc[0].eq(acc),
        dut.o.ready.eq(1),
    ]
    m.d.sync += sent.eq(sent | (dut.i.valid & dut.i.ready))

    total = Signal(signed(64))
    m.d.comb += total.eq(acc * mult + (Const(1, 64) << (shift - 1)[:6])[:64].as_signed())
    return dut, total, shift, cycle


def _clipped(value: Value, low, high) -> Value:
    return Mux(value > high, high, Mux(value < low, low, value))


def test_every_accumulator_and_shift(prove):
    prove(Spec(), Spec.END + 1, bounded=True)


def test_every_accumulator_shift_and_number_of_planes(prove):
    prove(CastSpec(), CastSpec.END + 1, bounded=True)
