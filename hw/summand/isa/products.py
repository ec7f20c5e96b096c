"""Multiplications in DSP blocks."""

from dataclasses import dataclass
from typing import NamedTuple

from summand.isa.config import EngineConfig
from summand.isa.digits import digit_lanes, packed_bits, packed_columns
from summand.isa.limits import DSP_BITS, MULT_BITS
from summand.isa.rounding import ceil_log2

__all__ = [
    "DSP_BITS",
    "DSP_LATENCY",
    "Product",
    "ProductPart",
    "digit_product",
    "products",
    "requantise_product",
    "scale_product",
]

#: From the operands of one DSP block to their product: its three registers.
DSP_LATENCY = 3


class ProductPart(NamedTuple):
    """What one DSP block of a multiplication multiplies.

    Parameters
    ----------
    a_bits, b_bits : int
        Bits of the operands' parts.
    signed : bool
        Whether ``a``'s is signed, as its highest part is; ``b``'s never is.
    """

    a_bits: int
    b_bits: int
    signed: bool


@dataclass(frozen=True, kw_only=True)
class Product:
    """A multiplication in DSP blocks, ``count`` times.

    Parameters
    ----------
    a_bits, b_bits : int
        Bits of the operands; ``a`` is signed.
    count : int
        Equal multipliers in the engine.
    """

    a_bits: int
    b_bits: int
    count: int = 1

    @property
    def blocks(self) -> int:
        """DSP blocks of one multiplier: one for each pair of the operands' parts."""
        return len(self.parts)

    @property
    def parts(self) -> tuple[ProductPart, ...]:
        """What each block of one multiplier multiplies, ``a``'s lower parts first."""
        *lower, highest = _parts(self.a_bits)
        return tuple(
            ProductPart(a, b, signed)
            for a, signed in (*((bits, False) for bits in lower), (highest, True))
            for b in _parts(self.b_bits)
        )

    @property
    def latency(self) -> int:
        """From operands to their product: a block, and a register a level of the sum of blocks."""
        return DSP_LATENCY + ceil_log2(self.blocks)


def _parts(bits: int) -> list[int]:
    """Return the bits of an operand's parts, full ones first."""
    whole, rest = divmod(bits, DSP_BITS)
    return [DSP_BITS] * whole + [rest] * (rest > 0)


def requantise_product(config: EngineConfig) -> Product:
    """Return the multiplication of an accumulator by its requantise multiplier."""
    return Product(a_bits=config.acc_bits, b_bits=MULT_BITS)


def scale_product(config: EngineConfig) -> Product:
    """Return the multiplications of slice sums by scales; only where ``scale_bits`` is not 0."""
    return Product(
        a_bits=config.slice_sum_bits,
        b_bits=config.scale_bits,
        count=config.rows * config.cols,
    )


def digit_product(config: EngineConfig) -> Product:
    """Return the multiplications of digits by activations; only where ``digit_bits`` is not 0."""
    return Product(
        a_bits=packed_bits(config),
        b_bits=config.act_bits,
        count=config.rows * config.cols // packed_columns(config) * digit_lanes(config),
    )


def products(config: EngineConfig) -> tuple[Product, ...]:
    """Return all multiplications of an engine that are done in DSP blocks."""
    scales = (scale_product(config),) if config.scale_bits else ()
    digits = (digit_product(config),) if config.digit_bits else ()
    return (requantise_product(config), *scales, *digits)
