"""Choose one of several words with the fewest look-up tables."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.rtl.fold import Library, emitted_once
from summand.rtl.technology import Technology

__all__ = ["Chooser", "choose"]

#: Counts of words that a slice's multiplexers choose from, in a tree over look-up tables.
_TREES = (4, 8, 16)


def choose(m: Module, words: Value, index: Value, width: int, *, name: str = "choice") -> Value:
    """Return word ``index`` of ``words``, one after another, each ``width`` bits.

    ``name`` is the submodule's, where ``m`` chooses more than once.
    """
    count = len(words) // width
    if count not in _TREES:
        return words.word_select(index, width)
    m.submodules[name] = choice = Chooser(width, count)
    m.d.comb += [choice.i.eq(words), choice.select.eq(index)]
    return choice.o


class Chooser(wiring.Component):
    """``o = i[select]``. Combinational.

    On an ECP5 a bit takes a look-up table for each pair of words, and a slice's multiplexers behind
    the tables. All are instantiated, because the tools use these multiplexers only inside tables of
    more inputs, and take up to twice as many tables. The tables are instantiated as well, because
    the tools would simplify some of them away from under their multiplexers.

    Parameters
    ----------
    width : int
        Bits of a word.
    count : int
        Words: 4, 8 or 16.

    Members
    -------
    i : ``In(array of count words)``
        Words.
    select : ``In(log2(count))``
        Index of the word that is chosen.
    o : ``Out(width)``
        The chosen word.
    """

    i: data.View
    select: Signal
    o: Signal

    def __init__(self, width: int, count: int):
        assert count in _TREES
        self.width = width
        self.count = count
        super().__init__(
            {
                "i": In(data.ArrayLayout(width, count)),
                "select": In(range(count)),
                "o": Out(width),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        named = isinstance(platform, Library) and platform.technology is Technology.ECP5
        words = [self.i[n] for n in range(self.count)]
        for level, bit in enumerate(self.select):
            pairs = list(zip(words[::2], words[1::2], strict=True))
            words = []
            for n, (low, high) in enumerate(pairs):
                word = Signal(self.width, name=f"word_{level}_{n}")
                words.append(word)
                if named:
                    for k in range(self.width):
                        m.submodules[f"mux_{level}_{n}_{k}"] = _multiplexer(
                            level, low[k], high[k], bit, word[k]
                        )
                else:
                    m.d.comb += word.eq(Mux(bit, high, low))
        m.d.comb += self.o.eq(words[0])

        return m


def _multiplexer(level: int, low: Value, high: Value, select: Value, o: Value) -> Instance:
    """Return a look-up table (level 0), or a multiplexer over two cells of the level below."""
    if level == 0:
        ports = {"i_A": low, "i_B": high, "i_C": select, "i_D": Const(0, 1)}
        return Instance("LUT4", p_INIT=Const(0xCACA, 16), **ports, o_Z=o)
    if level == 1:
        return Instance("PFUMX", i_BLUT=low, i_ALUT=high, i_C0=select, o_Z=o)
    return Instance("L6MUX21", i_D0=low, i_D1=high, i_SD=select, o_Z=o)
