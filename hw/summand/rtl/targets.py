"""The activations that a REQUANTISE has not written yet."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.decoder import HeaderLayout

__all__ = ["TargetGuard"]


class TargetGuard(wiring.Component):
    """Compare the slices that a REQUANTISE writes with those that the next GEMM reads.

    Or say that a CAST writes the operand while a GEMM reads it.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    header : ``In(HeaderLayout)``
        The current command's; steady for some cycles before :attr:`take` or a look at
        :attr:`conflict`.
    reach : ``In(17)``
        End of the slices that the command reads, if it is a GEMM.
    take : ``In(1)``
        The header is a REQUANTISE's: keep its slices.
    begin : ``In(1)``
        Its accumulators are read from the next cycle on.
    cast, stored : ``In(1)``
        The header is a CAST's, which writes no slices; it is a GEMM's that reads the operand. Only
        in an engine with an operand, as :attr:`acts`.
    written : ``In(1)``
        Its last word goes to the activation memory in this cycle.
    busy : ``Out(1)``
        From the cycle after :attr:`begin` until its last word can be read: a read that starts two
        cycles after the write finds it.
    acts : ``Out(1)``
        The same, while activations are written.
    conflict : ``Out(1)``
        The GEMM reads slices, or the operand, that are still to be written. It lags by one cycle,
        which is safe because no REQUANTISE begins in the cycle before a GEMM looks at it.
    """

    header: Any
    reach: Signal
    take: Signal
    begin: Signal
    cast: Signal
    stored: Signal
    written: Signal
    busy: Signal
    acts: Signal
    conflict: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "header": In(HeaderLayout()),
                "reach": In(17),
                "take": In(1),
                "begin": In(1),
                "written": In(1),
                "busy": Out(1),
                "conflict": Out(1),
                **(
                    {"cast": In(1), "stored": In(1), "acts": Out(1)} if config.operand_depth else {}
                ),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        # Slices `low` to `high - 1` are written.
        low = Signal(range(cfg.act_depth + 1))
        high = Signal(range(cfg.act_depth + 1))
        slices = Signal.like(high)
        end = Signal.like(high)  # of the command's slices, if it is a REQUANTISE
        depth_bits = cfg.depth.bit_length() - 1
        m.d.sync += [
            slices.eq((self.header.b * cfg.cols + cfg.depth - 1) >> depth_bits),
            end.eq(self.header.d + slices),
        ]
        with m.If(self.take):
            m.d.sync += [low.eq(self.header.d), high.eq(end)]

        landing = Signal(2)
        m.d.sync += landing.eq(Cat(self.written, landing))
        with m.If(landing[-1]):
            m.d.sync += self.busy.eq(0)
        with m.If(self.begin):
            m.d.sync += self.busy.eq(1)

        overlap = Signal(2)
        meets = overlap.all()
        if cfg.operand_depth:
            casting = Signal()
            with m.If(self.take):
                m.d.sync += casting.eq(self.cast)
            m.d.comb += self.acts.eq(self.busy & ~casting)
            meets = Mux(casting, self.stored, meets)
        m.d.sync += [
            overlap.eq(Cat(self.header.a < high, self.reach > low)),
            self.conflict.eq(self.busy & meets),
        ]

        return m
