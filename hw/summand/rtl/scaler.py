"""Multiply slice sums by their group's scale."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig

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
        return 3 if config.scale_bits else 0

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "sum": In(signed(config.slice_sum_bits)),
                "scale": In(config.scale_bits),
                "product": Out(signed(scaled_bits(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()

        total = Signal.like(self.sum, reset_less=True)
        scale = Signal.like(self.scale, reset_less=True)
        product = Signal.like(self.product, reset_less=True)
        m.d.sync += [
            total.eq(self.sum),
            scale.eq(self.scale),
            product.eq(total * scale),
            self.product.eq(product),
        ]

        return m
