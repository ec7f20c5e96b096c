"""Words on the bus to the rows, with their orders."""

from amaranth.lib import data

from summand.isa import EngineConfig
from summand.isa.widths import act_addr_bits, border_bits, row_bits, tile_bits

__all__ = ["Work"]


class Work(data.StructLayout):
    """A word on the shared bus, and orders to the accumulators.

    The bus carries a plane word (:attr:`valid`) or a word of activations (:attr:`act_write`), never
    both. The accumulators serve the last word of a tile (``valid & last``) or a read
    (:attr:`drain`), never both.

    In the rows of an engine whose element takes several planes at once, the words are those that it
    makes of them; in what follows, "plane" then stands for such a word, and ``first`` marks the
    first word of each digit.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.
    word_bits : int
        Bits of a word: ``plane_bits`` in front of the rows, the element's in them.

    Members
    -------
    word : ``word_bits``
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
        Its weights are half-step; only in an engine with them, and only of planes.
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

    def __init__(self, config: EngineConfig, word_bits: int):
        super().__init__(
            {
                "word": word_bits,
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
