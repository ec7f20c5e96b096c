"""How many of a family's multipliers a product takes."""

from dataclasses import dataclass

from summand.isa.products import ProductPart

__all__ = ["MultiplierMap"]


@dataclass(frozen=True, kw_only=True)
class MultiplierMap:
    """Says which products are made in multipliers; the others are made of look-up tables.

    Parameters
    ----------
    narrow : int
        Least bits of the narrower operand; where only one is signed, the other gets a sign too.
    product : int
        Least bits of the product: of both operands together, without such a sign.
    half : int
        Most bits of the wider operand of products of which one multiplier makes two, a sign
        included; 0 where none does.
    """

    narrow: int
    product: int
    half: int = 0

    def multipliers(self, part: ProductPart) -> float:
        """Return the multipliers that are taken, which may be a half."""
        operands = (part.a_bits, part.b_bits + part.signed)
        if min(operands) < self.narrow or part.a_bits + part.b_bits < self.product:
            return 0
        return 0.5 if max(operands) <= self.half else 1
