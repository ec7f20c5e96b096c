"""What travels from row to row, one word and its orders each cycle; and what rows answer."""

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import ceil_log2

from summand.isa import EngineConfig
from summand.isa.structure import act_addr_bits, row_bits, tile_bits

__all__ = [
    "Fill",
    "Result",
    "Scales",
    "Step",
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


class Fill(data.StructLayout):
    """Read a word of activations into the staging registers of the table writers.

    Members
    -------
    valid : 1
        Read.
    addr : ``act_addr_bits``
        Where; its low bits say which part of the staging registers.
    """

    def __init__(self, config: EngineConfig):
        super().__init__({"valid": 1, "addr": act_addr_bits(config)})


class Step(data.StructLayout):
    """One step of the table writers, in Gray code order.

    Members
    -------
    valid : 1
        Step.
    last : 1
        The table's last: the next starts from zero.
    select : 2
        Activation to add or, with ``negate``, subtract.
    negate : 1
        Subtract.
    entry : 4
        Table entry the sum is written to.
    zero : 1
        Write 0 instead of a sum; with ``last``.
    share : ``log2(table_share)``
        Which of a writer's tables.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "valid": 1,
                "last": 1,
                "select": 2,
                "negate": 1,
                "entry": 4,
                "zero": 1,
                "share": max(1, ceil_log2(config.table_share)),
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
    fill : :class:`Fill`
        Activation read.
    step : :class:`Step`
        Table writer step.
    scales : :class:`Scales`
        What multiplies the slice sums of the tile whose last word came ``Column.latency`` cycles
        ago.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "work": Work(config),
                "fill": Fill(config),
                "step": Step(config),
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
