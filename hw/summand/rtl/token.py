"""Tokens of orders, which travel from row to row, and the rows' answers."""

from amaranth.hdl import signed
from amaranth.lib import data

from summand.isa import EngineConfig
from summand.isa.widths import act_addr_bits, border_bits, row_bits, tile_bits
from summand.rtl import elements
from summand.rtl.activations import Fill

__all__ = [
    "Result",
    "Scales",
    "Token",
    "Work",
]


class Work(data.StructLayout):
    """A word on the shared bus, and orders to the accumulators.

    The bus carries a plane word (:attr:`valid`) or a word of activations (:attr:`act_write`), never
    both. The accumulators serve the last word of a tile (``valid & last``) or a read
    (:attr:`drain`), never both.

    Members
    -------
    word : ``plane_bits``
        Plane word, or activations in the high ``stream_bits``.
    valid : 1
        ``word`` is a plane word.
    first, last : 1
        It is its tile's first plane (most significant, subtracted); it is its tile's last plane.
    clear, shift : 1
        With :attr:`last`: the accumulators start from zero; they are shifted left first.
    border : ``border_bits``
        With :attr:`last` and without :attr:`shift`: how far they are shifted left first; only in
        an engine with borders.
    half_step : 1
        Its weights are half-step; only in an engine with them.
    tile : ``tile_bits``
        Address of the accumulators, of a last word or of a read.
    drain : 1
        Read the accumulators of row :attr:`drain_row`.
    act_write : 1
        Write :attr:`word` to the activations of row :attr:`act_row` at :attr:`act_addr`.
    act_row, drain_row : ``row_bits``
        Row numbers, which count down with each row that they pass; 0 means this row.
    act_addr : ``act_addr_bits``
        Address in the activation memory.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "word": config.plane_bits,
                "valid": 1,
                "first": 1,
                "last": 1,
                "clear": 1,
                "shift": 1,
                **({"border": border_bits(config)} if config.border_shift else {}),
                **({"half_step": 1} if config.half_steps else {}),
                "tile": tile_bits(config),
                "drain": 1,
                "drain_row": row_bits(config),
                "act_write": 1,
                "act_row": row_bits(config),
                "act_addr": act_addr_bits(config),
            }
        )


class Scales(data.ArrayLayout):
    """A tile's scales, one for each column; of no bits in an engine without scales."""

    def __init__(self, config: EngineConfig):
        super().__init__(config.scale_bits, config.cols)


class Token(data.StructLayout):
    """All orders to a row in one cycle; the next row gets them a cycle later.

    Members
    -------
    work : :class:`Work`
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
                "work": Work(config),
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
