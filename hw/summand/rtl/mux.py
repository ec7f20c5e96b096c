"""One of several words, in as few look-up tables as can be."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.rtl.fold import Library, emitted_once
from summand.rtl.technology import Technology

__all__ = ["FourToOne", "choose"]


def choose(m: Module, words: Value, index: Value, width: int) -> Value:
    """Return word ``index`` of ``words``, one after another, each ``width`` bits."""
    if len(words) != 4 * width:
        return words.word_select(index, width)
    m.submodules.choice = choice = FourToOne(width)
    m.d.comb += [choice.i.eq(words), choice.select.eq(index)]
    return choice.o


class FourToOne(wiring.Component):
    """``o = i[select]``, complemented with ``invert``. Combinational.

    On an ECP5 a bit takes two look-up tables, each for two of the words, and the multiplexer
    behind the two. That multiplexer is instantiated: mapping to look-up tables knows it only as a
    part of one with five inputs, and so takes three tables.

    Parameters
    ----------
    width : int
        Bits of a word.

    Members
    -------
    i : ``In(array of 4 words)``
        What to choose from.
    select : ``In(2)``
        Which.
    invert : ``In(1)``
        Complement it.
    o : ``Out(width)``
        The word.
    """

    i: data.View
    select: Signal
    invert: Signal
    o: Signal

    def __init__(self, width: int):
        self.width = width
        super().__init__(
            {
                "i": In(data.ArrayLayout(width, 4)),
                "select": In(2),
                "invert": In(1),
                "o": Out(width),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        low, high = Signal(self.width), Signal(self.width)
        for pair, half in ((0, low), (2, high)):
            word = Mux(self.select[0], self.i[pair + 1], self.i[pair])
            m.d.comb += half.eq(word ^ self.invert.replicate(self.width))
        if isinstance(platform, Library) and platform.technology is Technology.ECP5:
            for n in range(self.width):
                m.submodules[f"mux_{n}"] = Instance(
                    "PFUMX",
                    i_BLUT=low[n],
                    i_ALUT=high[n],
                    i_C0=self.select[1],
                    o_Z=self.o[n],
                )
        else:
            m.d.comb += self.o.eq(Mux(self.select[1], high, low))

        return m
