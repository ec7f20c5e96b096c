"""The requantiser's rounding and saturation, for every accumulator and every shift."""

from amaranth import *
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume

from summand.isa import EngineConfig
from summand.isa.limits import SHIFT
from summand.isa.structure import requantise_latency
from summand.rtl.requantise import Requantiser

#: The smallest engine: one tile is one word of four activations.
CONFIG = EngineConfig(
    cols=4, depth=8, stream_bits=32, act_bits=4, acc_bits=16, acc_depth=16, act_depth=2,
    requant_depth=16,
)  # fmt: skip


class Spec(Elaboratable):
    """One command of one tile after reset; only the first accumulator and parameter matter."""

    #: Multipliers up to this width: wider ones cost the solver minutes.
    MULT_BITS = 3
    #: Cycle by which the word is written: command, parameters, tile, and two spare cycles.
    END = 1 + CONFIG.cols + CONFIG.beat_elems + requantise_latency(CONFIG) + 3

    def elaborate(self, platform):
        m = Module()
        cfg = CONFIG
        m.submodules.dut = dut = Requantiser(cfg)

        acc, mult, shift = Signal(signed(16)), Signal(self.MULT_BITS), Signal(6)
        m.d.comb += [
            acc.eq(AnyConst(16)),
            mult.eq(AnyConst(self.MULT_BITS)),
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
        rounded = Signal(signed(64))
        want = Signal(signed(cfg.act_bits))
        m.d.comb += [
            total.eq(acc * mult + (Const(1, 64) << (shift - 1)[:6])[:64].as_signed()),
            rounded.eq(total >> shift),
            want.eq(
                Mux(
                    rounded > cfg.act_max,
                    cfg.act_max,
                    Mux(rounded < cfg.act_min, cfg.act_min, rounded),
                )
            ),
        ]
        with m.If(dut.o.valid):
            first = dut.o.p.word[: cfg.act_bits].as_signed()
            m.d.comb += Assert(first == want, "rounds halves up, and saturates")
        seen = Signal()
        m.d.sync += seen.eq(seen | dut.o.valid)
        m.d.comb += Assert((cycle < self.END) | seen, "the word comes")
        return m


def test_every_accumulator_and_shift(prove):
    prove(Spec(), Spec.END + 1, bounded=True)
