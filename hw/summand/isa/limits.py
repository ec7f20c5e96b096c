"""Ranges that the stream, the gateware and the compiler share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from summand.isa.errors import ConfigError

__all__ = [
    "ACC_SHIFT",
    "ACT_BITS",
    "BIN_TILES",
    "BORDERS",
    "BORDER_SHIFT",
    "DIGIT_BITS",
    "DSP_BITS",
    "FIELDS",
    "LIMB_BITS",
    "MULT",
    "MULT_BITS",
    "OPERAND_DEPTH",
    "PLANES",
    "SCALE_BITS",
    "SEGMENTS",
    "SHIFT",
    "SPARSE_BLOCKS",
    "Limits",
]


@dataclass(frozen=True)
class Limits:
    """Whole numbers from ``low`` to ``high``, both included; unpacks to these two.

    Parameters
    ----------
    low, high : int
        The smallest and the largest.
    power_of_two : bool
        Whether only powers of two are allowed.
    """

    low: int
    high: int
    power_of_two: bool = False

    def __iter__(self) -> Iterator[int]:
        return iter((self.low, self.high))

    def __contains__(self, value: int) -> bool:
        return self.low <= value <= self.high and not (self.power_of_two and value & (value - 1))

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"

    def clip(self, value: int) -> int:
        """Return the number from ``low`` to ``high`` that is nearest to ``value``."""
        return min(max(value, self.low), self.high)

    def check(self, name: str, value: object) -> None:
        """Raise :class:`~summand.isa.ConfigError` unless ``value`` is allowed."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"{name} must be a whole number, not {value!r}")
        if not self.low <= value <= self.high:
            raise ConfigError(f"{name} must be {self}, not {value}")
        if value not in self:
            raise ConfigError(f"{name} must be a power of two, not {value}")


#: Bit-planes of a weight.
PLANES = Limits(1, 8)
#: Segments of one GEMM.
SEGMENTS = Limits(1, 16)
#: Bits of an activation.
ACT_BITS = Limits(4, 10)
#: Bits of a group scale in a layer that has group scales.
SCALE_BITS = Limits(1, 8)
#: How far a segment's shift flag moves the accumulators to the left; 0 where no segment has one.
ACC_SHIFT = Limits(0, 8)
#: Borders of one GEMM.
BORDERS = Limits(0, 15)
#: The most that a border shifts the accumulators to the left; 0 where there are no borders.
BORDER_SHIFT = Limits(0, 7)
#: Bits of a requantise multiplier, which is unsigned.
MULT_BITS = 16
#: A requantise multiplier.
MULT = Limits(0, (1 << MULT_BITS) - 1)
#: How far a requantise parameter shifts to the right.
SHIFT = Limits(1, 47)
#: Weights of a block of a sparse segment; 0 where there are none.
SPARSE_BLOCKS = (0, 4, 8, 16)

#: Bits of a weight that a DSP block multiplies at once; 0 where tables are looked up instead.
DIGIT_BITS = (0, 2, 4)
#: Bits of the widest operand of one DSP block.
DSP_BITS = 18

#: Bits of a limb, in which an accumulator is sent; 0 where each is sent as 32 bits.
LIMB_BITS = (0, 4, 8)

#: Tiles of a bin, in an engine that has bins.
BIN_TILES = Limits(1, 256, power_of_two=True)

#: Plane words of the operand memory of an engine that has one.
OPERAND_DEPTH = Limits(256, 65536, power_of_two=True)

#: What each field of an :class:`~summand.isa.EngineConfig` may be.
FIELDS: Mapping[str, Limits] = MappingProxyType(
    {
        "rows": Limits(1, 64),
        "cols": Limits(1, 64, power_of_two=True),
        "depth": Limits(8, 256, power_of_two=True),
        "stream_bits": Limits(32, 512, power_of_two=True),
        "act_bits": ACT_BITS,
        "acc_bits": Limits(16, 32),
        "acc_depth": Limits(16, 16384, power_of_two=True),
        "act_depth": Limits(2, 4096, power_of_two=True),
        "requant_depth": Limits(16, 4096, power_of_two=True),
        "table_share": Limits(1, 16, power_of_two=True),
        "shift": ACC_SHIFT,
        "scale_bits": Limits(0, SCALE_BITS.high),
        "border_shift": BORDER_SHIFT,
    }
)
