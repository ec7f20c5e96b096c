"""Results on their way from all rows to the front."""

import operator
from functools import reduce
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.delay import delayed
from summand.rtl.token import Result

__all__ = ["Collector"]

#: Rows that one look-up table of four inputs joins with what comes from those behind.
_JOINED = 3


class Collector(wiring.Component):
    """Join the rows' results: row ``n``'s are at the front ``n + 1`` cycles after they are here.

    Results are zero where there are none, and no two are for the same cycle at the front. They go
    from row to row, a register for each, and are joined every few rows only.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(Result)`` for each row
        Results.
    o : ``Out(Result)``
        The same at the front.
    """

    i: Any
    o: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        result = Result(config)
        super().__init__({"i": In(result).array(config.rows), "o": Out(result)})

    def elaborate(self, platform):
        m = Module()

        behind: Value | None = None
        for first in reversed(range(0, self.config.rows, _JOINED)):
            rows = list(self.i[first : first + _JOINED])
            # No register has a reset: it lasts until nothing is on its way.
            parts = [
                delayed(m, row.as_value(), n, f"row_{first + n}", reset_less=True)
                for n, row in enumerate(rows)
            ]
            if behind is not None:
                parts.append(delayed(m, behind, _JOINED - 1, f"behind_{first}", reset_less=True))
            joined = Signal(len(parts[0]), name=f"joined_{first}", reset_less=True)
            m.d.sync += joined.eq(reduce(operator.or_, parts))
            behind = joined
        m.d.comb += self.o.as_value().eq(behind)

        return m
