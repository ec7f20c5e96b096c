"""Multiply slice sums by their group's scale."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.fold import emitted_once
from summand.rtl.multiply import Multiplier

__all__ = ["Scaler", "scaled_bits"]


def scaled_bits(config: EngineConfig) -> int:
    """Return the width of a slice sum on its way to the accumulator, scaled where there are scales.

    An accumulator wraps, so no more than its own width matters.
    """
    return min(config.slice_sum_bits + config.scale_bits, config.acc_bits)


class Scaler(wiring.Component):
    """``product <- sum * scale``, wrapped to what an accumulator holds.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``scale_bits`` is not 0.

    Members
    -------
    sum : ``In(signed(slice_sum_bits))``
        A slice sum.
    scale : ``In(scale_bits)``
        Its group's scale.
    product : ``Out(signed(scaled_bits))``
        :func:`latency` cycles later.
    """

    sum: Signal
    scale: Signal
    product: Signal

    @staticmethod
    def latency(config: EngineConfig) -> int:
        """Cycles from a sum to its product; 0 where there are no scales, and no scaler."""
        if not config.scale_bits:
            return 0
        return Multiplier.latency_of(*_operands(config))

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "sum": In(signed(config.slice_sum_bits)),
                "scale": In(config.scale_bits),
                "product": Out(signed(scaled_bits(config))),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        m.submodules.multiplier = multiplier = Multiplier(*_operands(self.config))
        m.d.comb += [
            multiplier.en.eq(1),
            multiplier.a.eq(self.sum),
            multiplier.b.eq(self.scale),
            self.product.eq(multiplier.p),
        ]

        return m


def _operands(config: EngineConfig) -> tuple[Shape, Shape]:
    return signed(config.slice_sum_bits), unsigned(config.scale_bits)
