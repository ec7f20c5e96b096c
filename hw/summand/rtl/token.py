"""What travels from row to row, one word and its orders each cycle; and what rows answer."""

from amaranth.hdl import signed
from amaranth.lib import data

from summand.isa import EngineConfig
from summand.isa.structure import act_addr_bits, row_bits, tile_bits
from summand.rtl import elements
from summand.rtl.activations import Fill

__all__ = [
    "Result",
    "Scales",
    "Token",
    "Work",
]


class Work(data.StructLayout):
    """The late half of a token: a word on the shared bus and orders for the accumulators.

    The bus carries a plane word (``valid``) or a word of activations (``act_write``), never both.
    An accumulator slot belongs to a ``valid & last`` word or to a ``drain`` read, never both.

    Members
    -------
    word : ``plane_bits``
        Plane word, or activations in the high ``stream_bits``.
    valid : 1
        ``word`` is a plane word.
    first, last : 1
        It is the first (most significant, subtracted) or last plane of its tile.
    clear, shift : 1
        With ``last``: the accumulator starts from zero, or is shifted first.
    tile : ``tile_bits``
        Accumulator address, for ``valid & last`` or ``drain``.
    drain : 1
        Read the accumulators of row ``drain_row``.
    act_write : 1
        Write ``word`` to the activations of row ``act_row`` at ``act_addr``.
    act_row, drain_row : ``row_bits``
        Count down as they pass each row; 0 means here.
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
                "tile": tile_bits(config),
                "drain": 1,
                "drain_row": row_bits(config),
                "act_write": 1,
                "act_row": row_bits(config),
                "act_addr": act_addr_bits(config),
            }
        )


class Scales(data.ArrayLayout):
    """A tile's scales, one a column; without ``scale_bits`` nothing."""

    def __init__(self, config: EngineConfig):
        super().__init__(config.scale_bits, config.cols)


class Token(data.StructLayout):
    """Everything a row is told in one cycle; the next row hears it a cycle later.

    Members
    -------
    work : :class:`Work`
        Word and accumulator orders.
    fill : :class:`~summand.rtl.activations.Fill`
        Activation read.
    step
        What the element does to prepare itself.
    scales : :class:`Scales`
        What multiplies the slice sums of the tile whose last word came as many cycles ago as the
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
        There is one.
    acc : array of ``cols`` signed ``acc_bits``
        Zero where not valid, so that rows combine by or.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {"valid": 1, "acc": data.ArrayLayout(signed(config.acc_bits), config.cols)}
        )
