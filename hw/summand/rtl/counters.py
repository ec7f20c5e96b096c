"""Counters of cycles by their use, and of beats to come."""

import dataclasses
from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa.packets import Counters

__all__ = ["Activity", "CountDown", "CountersLayout", "CycleCounters"]

_NAMES = [f.name for f in dataclasses.fields(Counters)]


class CountersLayout(data.StructLayout):
    """32 bits for each field of :class:`summand.isa.packets.Counters`, in its order."""

    def __init__(self):
        super().__init__(dict.fromkeys(_NAMES, 32))


class Activity(data.StructLayout):
    """What the front does in a cycle: at most one bit is set, and none while it reads a header.

    ``drain`` is any wait for results to leave. :class:`CycleCounters` uses ``blocked`` to split it
    into ``drain`` and ``output``.
    """

    def __init__(self):
        super().__init__({name: 1 for name in _NAMES[1:] if name not in ("output", "header")})


class CycleCounters(wiring.Component):
    """Count cycles by what the front did in them.

    Members
    -------
    activity : ``In(Activity)``
        What the front does in this cycle.
    blocked : ``In(1)``
        The output stream offers a beat that is not taken.
    count : ``Out(CountersLayout)``
        Counts of all cycles from reset to two before this one; the parts add up to ``cycles``.
    """

    activity: Any
    blocked: Signal
    count: Any

    def __init__(self):
        super().__init__(
            {"activity": In(Activity()), "blocked": In(1), "count": Out(CountersLayout())}
        )

    def elaborate(self, platform):
        m = Module()

        # All counters lag by one cycle, because `activity` comes late in its cycle.
        seen = Signal(Activity())
        blocked = Signal()
        started = Signal()
        m.d.sync += [seen.eq(self.activity), blocked.eq(self.blocked), started.eq(1)]
        happened = {
            **{name: seen[name] for name in seen.shape().members},
            "cycles": started,
            "header": started & ~seen.as_value().any(),
            "output": seen.drain & blocked,
            "drain": seen.drain & ~blocked,
        }
        for name in _NAMES:
            m.d.sync += self.count[name].eq(self.count[name] + happened[name])

        return m


class CountDown(wiring.Component):
    """Count down to 0. Registers say whether the count is 0 or 1.

    Members
    -------
    start : ``In(1)``
        Begin at :attr:`value`.
    value : ``In(width)``
        Where to begin; steady from the cycle before :attr:`start` on.
    step : ``In(1)``
        Count down by one; a count of 0 stays 0.
    none, one : ``Out(1)``
        The count is 0; the count is 1.
    """

    start: Signal
    value: Signal
    step: Signal
    none: Signal
    one: Signal

    def __init__(self, width: int):
        super().__init__(
            {
                "start": In(1),
                "value": In(width),
                "step": In(1),
                "none": Out(1, init=1),  # pyright: ignore[reportCallIssue]
                "one": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        count = Signal.like(self.value)
        begins_none, begins_one = Signal(), Signal()
        m.d.sync += [begins_none.eq(self.value == 0), begins_one.eq(self.value == 1)]
        # The wide count follows a cycle after `step`, which comes late in its cycle.
        stepped = Signal()
        m.d.sync += stepped.eq(self.step)
        with m.If(stepped):
            m.d.sync += count.eq(count - 1)
        with m.If(self.step):
            m.d.sync += [
                self.none.eq(self.none | self.one),
                self.one.eq(~self.none & Mux(stepped, count == 3, count == 2)),
            ]
        with m.If(self.start):
            m.d.sync += [
                count.eq(self.value),
                stepped.eq(0),
                self.none.eq(begins_none),
                self.one.eq(begins_one),
            ]

        return m
