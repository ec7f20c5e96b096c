"""Where the beats of a LOAD go."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.widths import act_addr_bits, row_bits

__all__ = ["LoadPlacer", "LoadPort"]


class LoadPort(wiring.Signature):
    """Beats of activations, as the front passes them on.

    Members
    -------
    write : ``Out(1)``
        The beat that the front takes in this cycle holds activations.
    row : ``Out(row_bits)``
        Row that they are for.
    addr : ``Out(act_addr_bits)``
        Word of that row's activation memory.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "write": Out(1),
                "row": Out(row_bits(config)),
                "addr": Out(act_addr_bits(config)),
            }
        )


class LoadPlacer(wiring.Component):
    """Count the words and rows of a LOAD.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    first : ``In(act_addr_bits)``
        Word that a row's first beat goes to.
    slices : ``In(16)``
        Slices of a row; steady from two cycles before the first beat on.
    step : ``In(1)``
        A beat is taken.
    last : ``In(1)``
        It is the payload's last beat, which the decoder has found to be the last row's last word.
    row : ``Out(row_bits)``
        Row of the beat.
    addr : ``Out(act_addr_bits)``
        Word of the beat.
    """

    first: Signal
    slices: Signal
    step: Signal
    last: Signal
    row: Signal
    addr: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "first": In(act_addr_bits(config)),
                "slices": In(16),
                "step": In(1),
                "last": In(1),
                "row": Out(row_bits(config)),
                "addr": Out(act_addr_bits(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        last_word = Signal(act_addr_bits(cfg))  # of a row
        word = Signal(range(cfg.act_depth * cfg.slice_words))
        m.d.sync += last_word.eq(self.slices * cfg.slice_words - 1)
        m.d.comb += self.addr.eq(self.first + word)
        with m.If(self.step):
            m.d.sync += word.eq(word + 1)
            with m.If(word == last_word):
                m.d.sync += [word.eq(0), self.row.eq(self.row + 1)]
            with m.If(self.last):
                m.d.sync += self.row.eq(0)

        return m
