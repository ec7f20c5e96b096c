"""One row's DSP blocks: what turns its activations and words of digits into slice sums."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.digits import digit_lanes, packed_columns
from summand.isa.elements import element
from summand.rtl.delay import delayed
from summand.rtl.elements.digits.columns import DigitColumns
from summand.rtl.elements.digits.loader import DigitStep
from summand.rtl.mux import choose

__all__ = ["DigitArray"]


class DigitArray(wiring.Component):
    """Keep one row's activations of a slice, and multiply those of each word by its digits.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``digit_bits`` is not 0.

    Members
    -------
    x : ``In(array of depth signed act_bits)``
        Staged activations.
    step : ``In(DigitStep)``
        Whether to copy them, from the word of the next cycle but one on.
    word : ``In(word_bits)``
        A word of digits; see :class:`~summand.rtl.elements.digits.turner.PlaneTurner`.
    valid : ``In(1)``
        There is one.
    first, last : ``In(1)``
        It is its digit's first word, or its tile's last.
    sums : ``Out(array of cols signed slice_sum_bits)``
        Slice sums that include the word of ``element(config).latency`` cycles ago.
    """

    x: Any
    step: Any
    word: Signal
    valid: Signal
    first: Signal
    last: Signal
    sums: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "x": In(data.ArrayLayout(signed(config.act_bits), config.depth)),
                "step": In(DigitStep(config)),
                "word": In(element(config).word_bits),
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "sums": Out(data.ArrayLayout(signed(config.slice_sum_bits), config.cols)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        lanes, columns = digit_lanes(cfg), packed_columns(cfg)

        active = Signal.like(self.x, reset_less=True)
        with m.If(self.step.valid):
            m.d.sync += active.eq(self.x)
        # A digit's words follow one another, so the place of the next is known, and its activations
        # are chosen ahead of it: a choice goes to blocks that are far apart.
        place = Signal(range(cfg.digit_bits))  # of the word among its digit's
        ahead = Signal.like(place)  # of the next one
        m.d.comb += ahead.eq(Mux(self.valid, Mux(self.last, 0, place + 1), place))
        m.d.sync += place.eq(ahead)
        x = Signal(data.ArrayLayout(signed(cfg.act_bits), lanes), reset_less=True)
        for lane in range(lanes):
            words = Cat(active[n * lanes + lane] for n in range(cfg.digit_bits))
            choice = choose(m, words, ahead, cfg.act_bits, name=f"choice_{lane}")
            m.d.sync += x[lane].eq(choice)

        # Columns combine a word `latency - 1` cycles after it came.
        delay = element(cfg).latency - 1
        first = delayed(m, self.first, delay, "first")
        last = delayed(m, self.last, delay, "last")
        valid = delayed(m, self.valid, delay, "valid")
        width = len(self.word) // cfg.cols
        for n in range(0, cfg.cols, columns):
            m.submodules[f"columns_{n}"] = pair = DigitColumns(cfg)
            m.d.comb += [
                pair.x.eq(x),
                pair.digits.as_value().eq(self.word[n * width : (n + columns) * width]),
                pair.first.eq(first),
                pair.last.eq(last),
                pair.step.eq(valid),
            ]
            m.d.comb += [self.sums[n + c].eq(pair.sums[c]) for c in range(columns)]

        return m
