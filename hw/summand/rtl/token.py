"""Tokens of orders, which travel from row to row, and the rows' answers."""

from amaranth.hdl import signed
from amaranth.lib import data

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl import elements
from summand.rtl.activations import Fill
from summand.rtl.work import Work

__all__ = [
    "Result",
    "Scales",
    "Token",
]


class Scales(data.ArrayLayout):
    """A tile's scales, one for each column; of no bits in an engine without scales."""

    def __init__(self, config: EngineConfig):
        super().__init__(config.scale_bits, config.cols)


class Token(data.StructLayout):
    """All orders to a row in one cycle; the next row gets them a cycle later.

    Members
    -------
    work : :class:`~summand.rtl.work.Work`
        A word, and orders to the accumulators.
    fill : :class:`~summand.rtl.activations.Fill`
        Activations to read.
    step
        What the element does to prepare itself.
    scales : :class:`Scales`
        Scales of the tile whose last word came as many cycles ago as the
        element's latency.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "work": Work(config, element(config).word_bits),
                "fill": Fill(config),
                "step": elements.parts(config).step(config),
                "scales": Scales(config),
            }
        )


class Result(data.StructLayout):
    """The accumulators of one tile on their way back to the front.

    Members
    -------
    valid : 1
        There is a tile.
    acc : array of ``cols`` signed ``acc_bits``
        Its accumulators; zero without a tile, so that rows' results are joined by "or".
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {"valid": 1, "acc": data.ArrayLayout(signed(config.acc_bits), config.cols)}
        )
