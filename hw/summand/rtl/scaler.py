"""Multiplication of a slice sum by its group's scale."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.products import scale_product
from summand.isa.widths import scaled_bits
from summand.rtl.fold import emitted_once
from summand.rtl.multiply import Multiplier

__all__ = ["Scaler"]


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
        :func:`~summand.isa.structure.scaler_latency` cycles later.
    """

    sum: Signal
    scale: Signal
    product: Signal

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

        m.submodules.multiplier = multiplier = Multiplier.of(scale_product(self.config))
        m.d.comb += [
            multiplier.en.eq(1),
            multiplier.a.eq(self.sum),
            multiplier.b.eq(self.scale),
            self.product.eq(multiplier.p),
        ]

        return m
