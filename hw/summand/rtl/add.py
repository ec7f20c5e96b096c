"""Addition in one carry chain, and nothing beside it."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.rtl.fold import Library, emitted_once
from summand.rtl.technology import Technology

__all__ = ["Adder"]

#: Half of a CCU2C: A + (B xor C) + carry. The four low bits are the carry where A and B xor C are
#: equal, looked up by A and B: A.
_SUM = 0x96AA
#: Half of one that adds C to A, or B where D is set. With C and D clear it adds nothing, so the
#: four low bits are A here too.
_SUM_OF_TWO = 0x665A
#: Halves whose carry depends on none before: it is A, or A and B.
_CARRY_A, _CARRY_BOTH = 0x000A, 0x0008


class Adder(wiring.Component):
    """``o = a + b``, ``a - b`` with ``subtract``, ``(a << doubles) + b`` with ``double``.

    Combinational. All are signed; the sum wraps to ``out`` bits.

    On an ECP5 its carry chain is instantiated, because inferred chains are larger: the tools spend
    one cell before the chain on its first carry, one behind it on its last, and a look-up table on
    each bit that is complemented. Here half a cell makes the first carry, and the last is left
    open. Doubling takes no look-up table, because a half's own has a place for either bit.

    Parameters
    ----------
    a, b : int
        Bits of the operands.
    out : int
        Bits of the sum, at least as many as of either operand.
    subtracts : bool
        Whether :attr:`subtract` is used.
    doubles : int
        How often :attr:`double` doubles; 0 if there is none, as with ``subtracts``.
    carries : bool
        Whether there is :attr:`carry`; not with ``subtracts``.

    Members
    -------
    a, b : ``In(signed)``
        Operands.
    subtract : ``In(1)``
        Subtract ``b`` instead of adding it; 0 without ``subtracts``.
    double : ``In(1)``
        Double ``a`` first; only with ``doubles``.
    carry : ``In(1)``
        Add 1; only with ``carries``.
    o : ``Out(signed(out))``
        The sum, wrapped to ``out`` bits.
    """

    a: Signal
    b: Signal
    subtract: Signal
    double: Signal
    carry: Signal
    o: Signal

    def __init__(
        self,
        a: int,
        b: int,
        out: int,
        *,
        subtracts: bool = False,
        doubles: int = 0,
        carries: bool = False,
    ):
        assert out >= max(a, b)
        assert not (subtracts and (doubles or carries))
        self.subtracts = subtracts
        self.doubles = doubles
        self.carries = carries
        super().__init__(
            {
                "a": In(signed(a)),
                "b": In(signed(b)),
                "subtract": In(1),
                **({"double": In(1)} if doubles else {}),
                **({"carry": In(1)} if carries else {}),
                "o": Out(signed(out)),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        if isinstance(platform, Library) and platform.technology is Technology.ECP5:
            self._chain(m)
        elif self.subtracts:
            # One more bit at the bottom carries in the 1 of the two's complement.
            inverted = self.b ^ self.subtract.replicate(len(self.b)).as_signed()
            augend = Cat(Const(1, 1), self.a).as_signed()
            m.d.comb += self.o.eq((augend + Cat(self.subtract, inverted).as_signed()) >> 1)
        else:
            a = Mux(self.double, self.a << self.doubles, self.a) if self.doubles else self.a
            if self.carries:
                carried = Cat(Const(1, 1), a).as_signed() + Cat(self.carry, self.b).as_signed()
                m.d.comb += self.o.eq(carried >> 1)
            else:
                m.d.comb += self.o.eq(a + self.b)

        return m

    def _chain(self, m: Module) -> None:
        size = len(self.o)
        bits = [(_extended(self.a, n), _extended(self.b, n), self.o[n]) for n in range(size)]
        low, high = Const(0, 1), Const(1, 1)
        subtract = self.subtract if self.subtracts else low
        if self.subtracts:
            halves: list[_Half] = [(_CARRY_A, subtract, low, low, high, None)]
        elif size % 2 or self.doubles or self.carries:
            carry_in = self.carry if self.carries else low
            halves = [(_CARRY_A, carry_in, low, low, high, None)]
        else:  # the chain is whole cells without the lowest bit, which a look-up table makes
            a, b, total = bits.pop(0)
            m.d.comb += total.eq(a ^ b)
            halves = [(_CARRY_BOTH, a, b, low, high, None)]
        if self.doubles:
            moved = [*[low] * self.doubles, *(a for a, _, _ in bits)]
            for (a, b, total), below in zip(bits, moved, strict=False):
                halves.append((_SUM_OF_TWO, b, below, a, self.double, total))
        else:
            halves += [(_SUM, a, b, subtract, high, total) for a, b, total in bits]
        if len(halves) % 2:
            halves.append((_SUM, low, low, low, high, None))
        carry: Signal | None = None
        pairs = list(zip(halves[::2], halves[1::2], strict=True))
        for n, pair in enumerate(pairs):
            ports: dict[str, Any] = {}
            for half, (table, a, b, c, d, total) in enumerate(pair):
                ports |= {f"p_INIT{half}": Const(table, 16), f"p_INJECT1_{half}": "NO"}
                ports |= {f"i_A{half}": a, f"i_B{half}": b, f"i_C{half}": c}
                ports[f"i_D{half}"] = d
                if total is not None:
                    ports[f"o_S{half}"] = total
            if carry is not None:
                ports["i_CIN"] = carry
            if n < len(pairs) - 1:
                carry = Signal(name=f"carry_{n}")
                ports["o_COUT"] = carry
            m.submodules[f"cell_{n}"] = Instance("CCU2C", **ports)


#: Table, what it looks up by, and the bit of the sum.
_Half = tuple[int, Value, Value, Value, Value, Value | None]


def _extended(value: Signal, n: int) -> Value:
    """Return bit ``n`` of a signed value, or its sign if it has no such bit."""
    return value[min(n, len(value) - 1)]
