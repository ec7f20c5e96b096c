"""Which places of its block an index says are kept."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa.rounding import ceil_log2
from summand.rtl.fold import emitted_once

__all__ = ["KeptPlaces", "most_places"]


def most_places(block: int) -> int:
    """Return the most places that an index names in a block of that many weights."""
    return (block - 1) // ceil_log2(block)


class KeptPlaces(wiring.Component):
    """Read one block's index. Combinational.

    Parameters
    ----------
    block : int
        Weights of the block.

    Members
    -------
    index : ``In(block)``
        A bit of each chunk: a mask, or the last so many that places take.
    named : ``In(most_places(block))``
        Which places the index has, from the last on. The first one counts in any case.
    mask : ``In(1)``
        It is a mask.
    holes : ``In(1)``
        It names places that are not kept.
    kept : ``Out(block)``
        A bit of each place.
    """

    index: Signal
    named: Signal
    mask: Signal
    holes: Signal
    kept: Signal

    def __init__(self, block: int):
        self.block = block
        super().__init__(
            {
                "index": In(block),
                "named": In(most_places(block)),
                "mask": In(1),
                "holes": In(1),
                "kept": Out(block),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        bits = ceil_log2(self.block)
        last = self.index[self.block - bits :]
        places: list[Any] = []
        for n, named in enumerate(self.named):
            # A place that is not there is replaced by one that is.
            end = self.block - n * bits
            place = Signal(bits, name=f"place_{n}")
            m.d.comb += place.eq(Mux(named, self.index[end - bits : end], last) if n else last)
            places.append(place)
        for n in range(self.block):
            union = Cat(place == n for place in places).any()
            m.d.comb += self.kept[n].eq(Mux(self.mask, self.index[n], union ^ self.holes))

        return m
