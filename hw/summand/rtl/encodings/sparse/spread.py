"""A block's values, spread to the places that are kept."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa.rounding import ceil_log2
from summand.rtl.fold import emitted_once
from summand.rtl.mux import choose

__all__ = ["QUAD", "BlockSpread"]

#: Places that are filled from the same four values on.
QUAD = 4


class BlockSpread(wiring.Component):
    """Bring one block's values to its kept places, in :attr:`LATENCY` cycles.

    The places before each four say with which value these begin; the places among the four, which
    of the four values there each takes.

    Parameters
    ----------
    block : int
        Weights of the block.

    Members
    -------
    kept : ``In(block)``
        A bit of each place.
    values : ``In(block)``
        A bit of each value, the first kept place's lowest, a cycle after :attr:`kept`.
    dense : ``In(1)``
        The word of two cycles ago is dense; :attr:`weights` takes the place of the values.
    weights : ``In(block)``
        A bit of each weight of a dense word.
    o : ``Out(block)``
        The values at the kept places, 0 at others; or :attr:`weights`.
    """

    #: Cycles from the kept places to the word.
    LATENCY = 2

    kept: Signal
    values: Signal
    dense: Signal
    weights: Signal
    o: Signal

    def __init__(self, block: int):
        self.block = block
        super().__init__(
            {
                "kept": In(block),
                "values": In(block),
                "dense": In(1),
                "weights": In(block),
                "o": Out(block),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        before: Value = C(0)
        for n in range(0, self.block, QUAD):
            kept = self.kept[n : n + QUAD]
            start = Signal(range(n + 1), name=f"start_{n}", reset_less=True)
            m.d.sync += start.eq(before)
            four = Signal(QUAD, name=f"four_{n}", reset_less=True)
            m.d.sync += four.eq(self._from(m, start, n))
            m.d.comb += self.o[n : n + QUAD].eq(self._placed(m, kept, four, n))
            before = before + _count(kept)

        return m

    def _from(self, m: Module, start: Signal, most: int) -> Value:
        """Return four values, the first of which is number ``start``, at most ``most``."""
        if not most:
            return self.values[:QUAD]
        count = 1 << ceil_log2(most)  # the last start is alone where it is a power of two
        starts = [self.values[n : n + QUAD] for n in range(most + 1)]
        starts += [C(0, QUAD)] * (count - len(starts))
        near = choose(m, Cat(*starts[:count]), start[: ceil_log2(count)], QUAD, name=f"from_{most}")
        return near if most < count else Mux(start[-1], starts[most], near)

    def _placed(self, m: Module, kept: Value, four: Value, first: int) -> Value:
        """Return four values at the kept places among four; ``kept`` is of two cycles before."""
        placed: list[Value] = []
        for n in range(QUAD):
            rank = Signal(range(n + 1), name=f"rank_{first}_{n}", reset_less=True)
            rank_later = Signal.like(rank, name=f"rank_{first}_{n}_later")
            has = Signal(name=f"has_{first}_{n}", reset_less=True)
            has_later = Signal.like(has, name=f"has_{first}_{n}_later")
            m.d.sync += [
                rank.eq(_count(kept[:n])),
                rank_later.eq(rank),
                has.eq(kept[n]),
                has_later.eq(has),
            ]
            value = four[0]
            for k in range(1, n + 1):
                value = Mux(rank_later == k, four[k], value)
            placed.append(Mux(self.dense, self.weights[first + n], has_later & value))
        return Cat(*placed)


def _count(bits: Value) -> Value:
    """Return how many of up to four bits are set."""
    total: Value = C(0)
    for bit in bits:
        total = total + bit
    return total
