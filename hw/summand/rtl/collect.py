"""Results on their way from all rows to the front."""

import operator
from functools import reduce
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.structure import JOINED_ROWS, joints
from summand.rtl.delay import delayed
from summand.rtl.fold import emitted_once
from summand.rtl.token import Result

__all__ = ["Collector", "Joint"]


class Joint(wiring.Component):
    """Join the results of neighbouring rows with those that come from the rows behind them.

    Row ``n`` of the group is at ``o`` after ``n + 1`` cycles, and what comes from behind after
    :data:`~summand.isa.structure.JOINED_ROWS`. A result is zero in a cycle without one, and no two
    results come in the same cycle.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.
    rows : int
        Rows of the group, 1 to :data:`~summand.isa.structure.JOINED_ROWS`; fewer than that only
        where there are none behind.

    Members
    -------
    i : ``In(Result)`` for each row
        Results of the group's rows.
    behind : ``In(Result)``
        Results of the next group's joint, or zero if this is the last group.
    o : ``Out(Result)``
        Results of this group and of those behind.
    """

    i: Any
    behind: Any
    o: Any

    def __init__(self, config: EngineConfig, rows: int):
        self.config = config
        self.rows = rows
        result = Result(config)
        super().__init__({"i": In(result).array(rows), "behind": In(result), "o": Out(result)})

    @emitted_once
    def elaborate(self, platform):
        m = Module()

        # No register is reset, because a reset lasts until no result is on its way.
        parts = [
            delayed(m, row.as_value(), n, f"row_{n}", reset_less=True)
            for n, row in enumerate(self.i)
        ]
        behind = self.behind.as_value()
        parts.append(delayed(m, behind, JOINED_ROWS - 1, "behind", reset_less=True))
        joined = Signal(Result(self.config), reset_less=True)
        m.d.sync += joined.eq(reduce(operator.or_, parts))
        m.d.comb += self.o.eq(joined)

        return m


class Collector(wiring.Component):
    """Join the rows' results: row ``n``'s are at ``o`` ``n + 1`` cycles after they are at ``i``.

    Each row adds one register to the way back; results are joined once every few rows.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(Result)`` for each row
        Results at their rows.
    o : ``Out(Result)``
        Results of all rows, at the front.
    """

    i: Any
    o: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        result = Result(config)
        super().__init__({"i": In(result).array(config.rows), "o": Out(result)})

    def elaborate(self, platform):
        m = Module()

        rows = list(self.i)
        front = self.o
        for n, count in enumerate(joints(self.config)):
            m.submodules[f"joint_{n}"] = joint = Joint(self.config, count)
            m.d.comb += [row.eq(result) for row, result in zip(joint.i, rows, strict=False)]
            m.d.comb += front.eq(joint.o)
            rows, front = rows[count:], joint.behind

        return m
