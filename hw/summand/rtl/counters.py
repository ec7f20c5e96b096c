"""Where the cycles go."""

import dataclasses
from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa.packets import Counters

__all__ = ["Activity", "CountersLayout", "CycleCounters"]

_NAMES = [f.name for f in dataclasses.fields(Counters)]


class CountersLayout(data.StructLayout):
    """32 bits for each field of :class:`summand.isa.packets.Counters`, in its order."""

    def __init__(self):
        super().__init__(dict.fromkeys(_NAMES, 32))


class Activity(data.StructLayout):
    """What the front does in a cycle: exactly one bit is set."""

    def __init__(self):
        super().__init__(dict.fromkeys(_NAMES[1:], 1))


class CycleCounters(wiring.Component):
    """Count cycles by what the front did in them.

    Members
    -------
    activity : ``In(Activity)``
        This cycle's.
    count : ``Out(CountersLayout)``
        Cycles from reset to the one before; the parts add up to ``cycles``.
    """

    activity: Any
    count: Any

    def __init__(self):
        super().__init__({"activity": In(Activity()), "count": Out(CountersLayout())})

    def elaborate(self, platform):
        m = Module()

        # Counted a cycle late, all alike: what the front does is known late in its cycle.
        seen = Signal(Activity())
        started = Signal()
        m.d.sync += [seen.eq(self.activity), started.eq(1)]
        m.d.sync += self.count.cycles.eq(self.count.cycles + started)
        for name in _NAMES[1:]:
            m.d.sync += self.count[name].eq(self.count[name] + seen[name])

        return m
