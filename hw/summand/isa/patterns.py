"""N:M sparsity: how many of each block of weights may be other than zero, and what that streams."""

from dataclasses import dataclass
from typing import Self

from summand.isa.errors import ConfigError

__all__ = ["BLOCKS", "Pattern"]

#: Weights of a block.
BLOCKS = (4, 8, 16)


@dataclass(frozen=True, order=True)
class Pattern:
    """Of each ``block`` weights along an output's inputs at most ``kept`` are other than zero.

    The stream counts in chunks of one bit a block: an index that says which weights are kept, then
    their values.

    Parameters
    ----------
    kept : int
        N, 1 to ``block - 1``.
    block : int
        M: 4, 8 or 16.

    Raises
    ------
    ConfigError
        If a number is none of these.
    """

    kept: int
    block: int

    def __post_init__(self):
        if self.block not in BLOCKS:
            known = ", ".join(map(str, BLOCKS[:-1]))
            raise ConfigError(f"block must be {known} or {BLOCKS[-1]}, not {self.block}")
        if not 1 <= self.kept < self.block:
            raise ConfigError(
                f"kept must be 1 to {self.block - 1} for blocks of {self.block}, not {self.kept}"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"2:4"``; raises :class:`~summand.isa.ConfigError`."""
        kept, colon, block = text.partition(":")
        if not (colon and kept.isdecimal() and block.isdecimal() and len(text) < 8):
            raise ConfigError(f"a pattern must be two whole numbers as in 2:4, not {text!r}")
        return cls(int(kept), int(block))

    def __str__(self) -> str:
        return f"{self.kept}:{self.block}"

    @property
    def position_bits(self) -> int:
        """Bits that name one weight of a block."""
        return self.block.bit_length() - 1

    @property
    def index_chunks(self) -> int:
        """Chunks of the cheapest index: kept positions, a mask, or positions that are not kept."""
        named = min(self.kept, self.block - self.kept)
        return min(self.block, named * self.position_bits)

    def chunks(self, planes: int) -> int:
        """Return the chunks that a tile of weights of ``planes`` bits takes, its index included."""
        return self.index_chunks + planes * self.kept
