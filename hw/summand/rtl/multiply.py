"""Multiplication in DSP blocks, with the blocks' own registers."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa.products import DSP_BITS, DSP_LATENCY, Product
from summand.rtl.add import Adder
from summand.rtl.delay import delayed
from summand.rtl.fold import Library
from summand.rtl.technology import Technology

__all__ = ["DspProduct", "DspSum", "Multiplier"]


class DspProduct(wiring.Component):
    """One DSP block: ``p = a * b``, :attr:`LATENCY` enabled cycles.

    It has three registers: behind the operands, within the multiplication, and behind the product.
    Vendors' tools move them into the block; on an ECP5 the block is instantiated with them.

    Parameters
    ----------
    a, b : :class:`~amaranth.hdl.Shape`
        Operands, signed or not, up to :data:`~summand.isa.products.DSP_BITS` wide.

    Members
    -------
    en : ``In(1)``
        Enable of all registers.
    a, b : ``In``
        Operands.
    p : ``Out``
        Their product, as wide as both together, signed if one of them is.
    """

    #: Enabled cycles from operands to their product.
    LATENCY = DSP_LATENCY

    en: Signal
    a: Signal
    b: Signal
    p: Signal

    def __init__(self, a: Shape, b: Shape):
        assert max(a.width, b.width) <= DSP_BITS
        product = Shape(a.width + b.width, signed=a.signed or b.signed)
        super().__init__({"en": In(1), "a": In(a), "b": In(b), "p": Out(product)})

    def elaborate(self, platform):
        m = Module()

        if isinstance(platform, Library) and platform.technology is Technology.ECP5:
            m.submodules.block = self._ecp5()
            return m
        a = Signal.like(self.a, name="a_in", reset_less=True)
        b = Signal.like(self.b, name="b_in", reset_less=True)
        pipeline = Signal.like(self.p, name="pipeline", reset_less=True)
        product = Signal.like(self.p, name="product", reset_less=True)
        with m.If(self.en):
            m.d.sync += [a.eq(self.a), b.eq(self.b), pipeline.eq(a * b), product.eq(pipeline)]
        m.d.comb += self.p.eq(product)

        return m

    def _ecp5(self) -> Any:
        registers: dict[str, Any] = {}
        for name in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"):
            registers |= {
                f"p_REG_{name}_CLK": "CLK0",
                f"p_REG_{name}_CE": "CE0",
                f"p_REG_{name}_RST": "RST0",
            }
        ports: dict[str, Any] = {}
        for side, operand in (("A", self.a), ("B", self.b)):
            is_signed = operand.shape().signed
            above = operand[-1] if is_signed else Const(0, 1)
            bits = Cat(operand, above.replicate(DSP_BITS - len(operand)))
            ports |= {f"i_{side}{i}": bits[i] for i in range(DSP_BITS)}
            ports |= {f"i_C{i}": Const(0, 1) for i in range(DSP_BITS)}
            ports[f"i_SIGNED{side}"] = Const(int(is_signed), 1)
            ports[f"i_SOURCE{side}"] = Const(0, 1)
        ports |= {f"o_P{i}": self.p[i] for i in range(len(self.p))}
        return Instance(
            "MULT18X18D",
            p_GSR="DISABLED",
            i_CLK0=ClockSignal(),
            i_CE0=self.en,
            i_RST0=Const(0, 1),
            **registers,
            **ports,
        )


class DspSum(wiring.Component):
    """Two DSP blocks: ``p = a[0] * b[0] + a[1] * b[1]``, :attr:`LATENCY` cycles.

    The second product is a cycle behind the first, so that vendors' tools find the adder of the
    second block with the first one's output. On an ECP5, of which no tool uses these adders, the
    products come at once, and the sum is a carry chain.

    Parameters
    ----------
    a, b : :class:`~amaranth.hdl.Shape`
        Operands, both signed, up to :data:`~summand.isa.products.DSP_BITS` wide.

    Members
    -------
    a, b : ``In(array of 2)``
        Operands.
    p : ``Out``
        The sum, signed and wrapped to as many bits as a pair's operands have together.
    """

    #: Cycles from operands to their sum.
    LATENCY = DSP_LATENCY + 1

    a: Any
    b: Any
    p: Signal

    def __init__(self, a: Shape, b: Shape):
        assert a.signed
        assert b.signed
        super().__init__(
            {
                "a": In(a).array(2),
                "b": In(b).array(2),
                "p": Out(signed(a.width + b.width)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        ecp5 = isinstance(platform, Library) and platform.technology is Technology.ECP5
        products: list[Signal] = []
        for n in range(1 + ecp5):
            block = DspProduct(self.a[n].shape(), self.b[n].shape())
            m.submodules[f"product_{n}"] = block
            m.d.comb += [block.en.eq(1), block.a.eq(self.a[n]), block.b.eq(self.b[n])]
            products.append(block.p)
        if not ecp5:
            a = delayed(m, self.a[1], 2, "a", reset_less=True)
            b = delayed(m, self.b[1], 2, "b", reset_less=True)
            product = Signal.like(self.p, name="product", reset_less=True)
            m.d.sync += product.eq(a * b)
            products.append(product)
        size = len(self.p)
        m.submodules.adder = adder = Adder(size, size, size)
        total = Signal.like(self.p, name="total", reset_less=True)
        m.d.comb += [adder.a.eq(products[1]), adder.b.eq(products[0]), self.p.eq(total)]
        m.d.sync += total.eq(adder.o)

        return m


class Multiplier(wiring.Component):
    """``p = a * b`` of any widths, one pair in each enabled cycle.

    Operands wider than a DSP block are cut into parts, and all parts but the highest are unsigned.
    The parts' products are added in pairs, with a register after each addition.

    Parameters
    ----------
    a, b : :class:`~amaranth.hdl.Shape`
        Operands, signed or not.

    Members
    -------
    en : ``In(1)``
        Enable of all registers.
    a, b : ``In``
        Operands.
    p : ``Out``
        Their product, as wide as both together, signed if one of them is;
        :attr:`summand.isa.products.Product.latency` enabled cycles later.
    """

    en: Signal
    a: Signal
    b: Signal
    p: Signal

    def __init__(self, a: Shape, b: Shape):
        product = Shape(a.width + b.width, signed=a.signed or b.signed)
        super().__init__({"en": In(1), "a": In(a), "b": In(b), "p": Out(product)})

    @classmethod
    def of(cls, product: Product) -> "Multiplier":
        """Return one of an engine's multipliers."""
        return cls(signed(product.a_bits), unsigned(product.b_bits))

    def elaborate(self, platform):
        m = Module()

        terms: list[tuple[int, Any]] = []  # place of the lowest bit, and value
        for i, (a_place, a) in enumerate(_parts(self.a)):
            for j, (b_place, b) in enumerate(_parts(self.b)):
                m.submodules[f"product_{i}_{j}"] = block = DspProduct(a.shape(), b.shape())
                m.d.comb += [block.en.eq(self.en), block.a.eq(a), block.b.eq(b)]
                terms.append((a_place + b_place, block.p))
        level = 0
        while len(terms) > 1:
            pairs = []
            for n, ((at, x), (other, y)) in enumerate(zip(terms[::2], terms[1::2], strict=False)):
                # The bits below the upper term need no addition.
                low, shift = x[: other - at], other - at
                high = (x >> shift) + y
                width = min(len(self.p) - at, shift + len(high))
                total = Signal(
                    Shape(width, signed=high.shape().signed),
                    name=f"sum_{level}_{n}",
                    reset_less=True,
                )
                with m.If(self.en):
                    m.d.sync += total.eq(Cat(low, high))
                pairs.append((at, total))
            if len(terms) % 2:
                at, x = terms[-1]
                later = Signal.like(x, name=f"kept_{level}", reset_less=True)
                with m.If(self.en):
                    m.d.sync += later.eq(x)
                pairs.append((at, later))
            terms = pairs
            level += 1
        ((_, product),) = terms
        m.d.comb += self.p.eq(product)

        return m


def _parts(operand: Any) -> list[tuple[int, Any]]:
    """Cut an operand into parts of a DSP block's width, lowest first, each with its place."""
    parts = []
    for place in range(0, len(operand), DSP_BITS):
        part = operand[place : place + DSP_BITS]
        last = place + DSP_BITS >= len(operand)
        parts.append((place, part.as_signed() if last and operand.shape().signed else part))
    return parts
