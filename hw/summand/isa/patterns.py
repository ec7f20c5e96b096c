"""N:M patterns of sparse weights, and what they take in the stream.

SDQ (arXiv 2406.13868) streams dense and N:M sparse matrices that add up. Here the kept weights are
found by an index that each tile has once for all its planes.
"""

import enum
from dataclasses import dataclass

from summand.isa.rounding import ceil_log2

__all__ = ["IndexForm", "SparsePattern"]


class IndexForm(enum.Enum):
    """What an index says of each block."""

    #: Where the kept weights are: the bits of each one's place, least significant first.
    POSITIONS = "positions"
    #: A bit for each place: whether its weight is kept.
    MASK = "mask"
    #: Where the weights are that are not kept, as :attr:`POSITIONS`.
    HOLES = "holes"


@dataclass(frozen=True, kw_only=True)
class SparsePattern:
    """At most ``kept`` of every ``block`` weights are not zero.

    Indices and values are counted in chunks. A chunk is one bit for each block of a plane word.

    Parameters
    ----------
    kept : int
        1 to ``block - 1``.
    block : int
        4, 8 or 16.
    """

    kept: int
    block: int

    def __str__(self) -> str:
        return f"{self.kept}:{self.block}"

    @property
    def place_bits(self) -> int:
        """Bits of a place in a block."""
        return ceil_log2(self.block)

    @property
    def index_form(self) -> IndexForm:
        """The form of the index that takes the fewest chunks; of equal ones the mask."""
        if self.kept * self.place_bits < self.block:
            return IndexForm.POSITIONS
        holes = self.block - self.kept
        return IndexForm.HOLES if holes * self.place_bits < self.block else IndexForm.MASK

    @property
    def places(self) -> int:
        """Places that the index names; 0 if it is a mask."""
        named = {IndexForm.POSITIONS: self.kept, IndexForm.HOLES: self.block - self.kept}
        return named.get(self.index_form, 0)

    @property
    def index_chunks(self) -> int:
        """Chunks of a tile's index."""
        return self.places * self.place_bits or self.block

    @property
    def index_apart(self) -> bool:
        """Whether index and first plane are too long to be taken at once, as a plane word is."""
        return self.index_chunks + self.kept > self.block

    def widened(self, block: int) -> "SparsePattern | None":
        """Return the pattern of blocks of ``block`` weights that all such weights have, if any."""
        if not block or block % self.block:
            return None
        return SparsePattern(kept=self.kept * block // self.block, block=block)

    def tile_chunks(self, planes: int) -> int:
        """Return the chunks of a tile's index and planes."""
        return self.index_chunks + planes * self.kept
