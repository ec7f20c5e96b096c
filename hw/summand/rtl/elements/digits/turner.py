"""Turn bit planes into digits of weights, ready for DSP blocks."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.digits import digit_lanes, digit_size, packed_columns
from summand.isa.elements import element
from summand.isa.latencies import TURNER_LATENCY
from summand.rtl.work import Work

__all__ = ["PlaneTurner"]


class PlaneTurner(wiring.Component):
    """Gather the planes of a digit, and send it on in as many words, each of other inputs.

    Word ``n`` of a digit holds that of inputs ``n * lanes`` to ``(n + 1) * lanes - 1`` for every
    column, lowest column first: signed numbers of ``digit_bits + 1`` bits. A digit of an odd column
    is 1 less where that of the column below it is negative, because these two are packed into one
    operand. The first word leaves :attr:`LATENCY` cycles after the digit's last plane, the others
    follow at once. Beats of a LOAD leave at once; none comes while words leave.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``digit_bits`` is not 0.

    Members
    -------
    i : ``In(Work)``
        A plane word, a beat of a LOAD, or neither. Tiles have whole digits.
    o : ``Out(Work)``
        A word of digits or the same beat. ``first`` marks a digit's first word, ``last`` the last
        of a tile.
    """

    #: Cycles from a digit's last plane to its first word: bits are chosen in one, digits made of
    #: them in another, because either choice drives hundreds of wires.
    LATENCY = TURNER_LATENCY

    i: Any
    o: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "i": In(Work(config, config.plane_bits)),
                "o": Out(Work(config, element(config).word_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        size = cfg.digit_bits

        # Planes come most significant first, so the oldest one is the highest of the digit.
        planes = [Signal(cfg.plane_bits, name=f"plane_{n}", reset_less=True) for n in range(size)]
        m.d.comb += planes[0].eq(self.i.word)
        with m.If(self.i.valid):
            m.d.sync += [later.eq(p) for p, later in zip(planes, planes[1:], strict=False)]

        left = Signal(range(size), init=size - 1)  # planes of the digit after this one
        whole = Signal()
        opens = Signal(init=1)  # the digit is its tile's first
        m.d.comb += whole.eq(self.i.valid & (left == 0))
        with m.If(self.i.valid):
            m.d.sync += left.eq(left - 1)
        with m.If(whole):
            m.d.sync += opens.eq(self.i.last)

        # The words of a digit leave one after another, with what was said of its last plane.
        leaves = Signal()
        place = Signal(range(size))  # of the word among the digit's
        with m.If(whole):
            m.d.sync += [leaves.eq(1), place.eq(0)]
        with m.Else():
            m.d.sync += [leaves.eq(leaves & (place != size - 1)), place.eq(place + 1)]

        opening = self._kept(m, opens, "opens", whole)
        halving = self._kept(m, self.i.half_step, "half_step", whole) if cfg.half_steps else None
        bits = [self._leaving(m, plane, n, whole) for n, plane in enumerate(planes)]
        word = self._word(m, bits, opening, halving)
        tile_ends = self._kept(m, self.i.last, "last", whole)
        beat = self.i.word[-cfg.stream_bits :]
        m.d.comb += [
            *(self.o[n].eq(self._kept(m, self.i[n], n, whole)) for n in self._orders()),
            self.o.word.eq(word),
            self.o.word[-len(beat) :].eq(Mux(self.i.act_write, beat, word[-len(beat) :])),
            self.o.valid.eq(leaves),
            self.o.first.eq(leaves & (place == 0)),
            self.o.last.eq(tile_ends & (place == size - 1)),
            self.o.act_write.eq(self.i.act_write),
            self.o.act_row.eq(self.i.act_row),
            self.o.act_addr.eq(self.i.act_addr),
        ]

        return m

    def _orders(self) -> list[str]:
        """Return the fields that go with a tile's last word."""
        return ["clear", "shift", "tile", *(["border"] if self.config.border_shift else [])]

    def _kept(self, m: Module, value: Value, name: str, whole: Signal) -> Signal:
        """Return what ``value`` was when the last plane of the digit came before this cycle."""
        kept = Signal.like(value, name=f"kept_{name}", reset_less=True)
        with m.If(whole):
            m.d.sync += kept.eq(value)
        return kept

    def _leaving(self, m: Module, plane: Signal, n: int, whole: Signal) -> Value:
        """Return bit ``n`` of the digits of the word that leaves; those of others move up."""
        cfg = self.config
        lanes = digit_lanes(cfg)
        columns = [plane[c * cfg.depth : (c + 1) * cfg.depth] for c in range(cfg.cols)]
        behind: Value | None = None
        for k in reversed(range(cfg.digit_bits)):
            bits = Signal(cfg.cols * lanes, name=f"bits_{n}_{k}", reset_less=True)
            came = Cat(column[k * lanes : (k + 1) * lanes] for column in columns)
            m.d.sync += bits.eq(came if behind is None else Mux(whole, came, behind))
            behind = bits
        assert behind is not None
        return behind

    def _word(self, m: Module, bits: list[Value], opening: Value, halving: Value | None) -> Signal:
        """Return a word of the digits with these bits, lowest first.

        A digit that opens a weight is signed. One of a half-step weight is ``2 * digit + 1``, less
        ``2 ** digit_bits`` if it does not open the weight.
        """
        cfg = self.config
        lanes, size = digit_lanes(cfg), digit_size(cfg)
        word = Signal(element(cfg).word_bits)
        below: list[Value] = []
        for n in range(cfg.cols * lanes):
            column, lane = divmod(n, lanes)
            own = [b[n] for b in bits]
            if halving is None:
                digit = [*own, own[-1] & opening]
            else:
                doubled = zip([Const(1, 1), *own], own, strict=False)
                sign = Mux(opening, own[-1], halving & ~own[-1])
                digit = [*(Mux(halving, d, b) for d, b in doubled), sign]
            if column % packed_columns(cfg):
                borrow = below[lane]
                for k, bit in enumerate(digit):
                    digit[k] = bit ^ borrow
                    borrow = borrow & ~bit
            else:
                below = [*below[:lane], digit[-1]]
            m.d.comb += word[n * size : (n + 1) * size].eq(Cat(digit))
        return word
