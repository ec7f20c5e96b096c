"""How the channels of layers' inputs are put into groups."""

from dataclasses import dataclass

__all__ = ["Grouping"]


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """How the channels of a layer's input are put into groups with scales of their own.

    Parameters
    ----------
    groups : int
        At most so many, 2 to 16.
    block : int
        Input features that a group holds a multiple of: a multiple of the engine's depth.
    shift : int
        Most that accumulators are shifted at a border, 1 to 7: at most the engine's
        ``border_shift``.
    act_bits : int
        Bits that activations are rounded to.
    """

    groups: int
    block: int
    shift: int
    act_bits: int

    def most(self, features: int) -> tuple[tuple[int, int], ...]:
        """Return as many borders as an input of ``features`` may get, for counting them."""
        count = min(self.groups, -(-features // self.block)) - 1
        return tuple((self.block * (i + 1), 1) for i in range(count))
