"""Two output features: DSP blocks, adder tree, and the sum over a weight's words."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.digits import (
    digit_lanes,
    digit_size,
    packed_bits,
    packed_columns,
    packed_levels,
    packed_place,
)
from summand.rtl.add import Adder
from summand.rtl.fold import emitted_once
from summand.rtl.multiply import DspProduct, DspSum

__all__ = ["DigitColumns"]


class DigitColumns(wiring.Component):
    """Multiply the activations of a word by two columns' digits, and combine a weight's words.

    ``slice <- (first ? slice << digit_bits : slice) + sum``. One word a cycle,
    ``element(config).latency`` cycles to the slice sums that include it. An engine of one column
    has but the first of the two.

    Both columns' digits are one operand, of which the lower column's sums take the low bits. Sums
    are added packed as long as these have room. A packed sum whose lower part is negative has
    borrowed 1 from the upper one; each adder behind gives 1 back by its carry.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``digit_bits`` is not 0.

    Members
    -------
    x : ``In(array of lanes signed act_bits)``
        Activations.
    digits : ``In(array of 2 or 1 columns of lanes * (digit_bits + 1))``
        Digits, those of the upper column less the borrow of the lower one's.
    first, last, step : ``In(1)``
        Flags for the word of ``latency - 1`` cycles ago: the first of its digit, the last of its
        weight, and whether there is one. A reset does not end a weight; ``last`` with ``step`` must
        do so.
    sums : ``Out(array of 2 or 1 signed slice_sum_bits)``
        Sums over the weights' words so far.
    """

    x: Any
    digits: Any
    first: Signal
    last: Signal
    step: Signal
    sums: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        columns, lanes = packed_columns(config), digit_lanes(config)
        super().__init__(
            {
                "x": In(data.ArrayLayout(signed(config.act_bits), lanes)),
                "digits": In(data.ArrayLayout(lanes * digit_size(config), columns)),
                "first": In(1),
                "last": In(1),
                "step": In(1),
                "sums": Out(data.ArrayLayout(signed(config.slice_sum_bits), columns)),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        # A block's own adder makes the first level, unless products have to be taken apart before.
        apart = packed_columns(cfg) == 2 and packed_levels(cfg) == 0
        lanes = range(0, digit_lanes(cfg), 1 if apart else 2)
        packed = [self._product(m, lane) if apart else self._sum(m, lane) for lane in lanes]
        for level in range(1, packed_levels(cfg)):
            packed = _added(m, packed, [], f"packed_{level}")
        if packed_columns(cfg) == 1:
            parts, borrows = [packed], [[]]
        else:
            place = packed_place(cfg)
            parts = [
                [s[:place].as_signed() for s in packed],
                [s[place:].as_signed() for s in packed],
            ]
            borrows = [[], [s[place - 1] for s in packed]]

        for c, (sums, owed) in enumerate(zip(parts, borrows, strict=True)):
            level = 0
            while len(sums) > 1:
                now, owed = owed[: len(sums) // 2], owed[len(sums) // 2 :]
                sums = _added(m, sums, now, f"tree_{c}_{level}")
                later = []
                for n, bit in enumerate(owed):
                    owing = Signal(name=f"owed_{c}_{level}_{n}", reset_less=True)
                    m.d.sync += owing.eq(bit)
                    later.append(owing)
                owed = later
                level += 1
            self._combine(m, c, sums[0], owed)

        return m

    def _product(self, m: Module, lane: int) -> Value:
        """Return the packed product of a lane's activation and both columns' digits."""
        cfg = self.config
        m.submodules[f"product_{lane}"] = block = DspProduct(
            signed(packed_bits(cfg)), signed(cfg.act_bits)
        )
        m.d.comb += [
            block.en.eq(1),
            block.a.eq(self._packed(lane)),
            block.b.eq(self.x[lane]),
        ]
        # A digit's magnitude is less than a power of two, so the product needs a bit less.
        return block.p[:-1].as_signed()

    def _sum(self, m: Module, lane: int) -> Value:
        """Return the sum of the packed products of a lane and the next."""
        cfg = self.config
        m.submodules[f"sum_{lane}"] = blocks = DspSum(
            signed(packed_bits(cfg)), signed(cfg.act_bits)
        )
        for n in range(2):
            m.d.comb += [
                blocks.a[n].eq(self._packed(lane + n)),
                blocks.b[n].eq(self.x[lane + n]),
            ]
        return blocks.p

    def _packed(self, lane: int) -> Value:
        """Return both columns' digits of a lane as one operand."""
        cfg = self.config
        size = digit_size(cfg)
        low, *high = (c[lane * size : (lane + 1) * size] for c in self.digits)
        packed: Value = low
        if high:
            sign = low[-1].replicate(packed_place(cfg) - size)
            packed = Cat(low, sign, *high)
        return packed

    def _combine(self, m: Module, column: int, total: Value, owed: list[Value]) -> None:
        """Add the sum of a word to those before."""
        # `base` is a copy of the sum, cleared where a weight ends by its own reset input.
        cfg = self.config
        size = cfg.slice_sum_bits
        base = Signal(signed(size), name=f"base_{column}", reset_less=True)
        combine = Adder(size, len(total), size, doubles=cfg.digit_bits, carries=bool(owed))
        m.submodules[f"combine_{column}"] = combine
        m.d.comb += [combine.a.eq(base), combine.b.eq(total), combine.double.eq(self.first)]
        if owed:
            (last,) = owed
            m.d.comb += combine.carry.eq(last)
        with m.If(self.step):
            m.d.sync += [
                self.sums[column].eq(combine.o),
                base.eq(Mux(self.last, 0, combine.o)),
            ]


def _added(m: Module, level: list[Value], carries: list[Value], name: str) -> list[Value]:
    """Return the sums of pairs, a bit wider, a cycle later; with them the carries, if any."""
    above: list[Value] = []
    for n, (a, b) in enumerate(zip(level[::2], level[1::2], strict=True)):
        size = len(a) + 1
        m.submodules[f"{name}_{n}"] = adder = Adder(len(a), len(b), size, carries=bool(carries))
        total = Signal(signed(size), name=f"{name}_{n}_sum", reset_less=True)
        m.d.comb += [adder.a.eq(a), adder.b.eq(b)]
        if carries:
            m.d.comb += adder.carry.eq(carries[n])
        m.d.sync += total.eq(adder.o)
        above.append(total)
    return above
