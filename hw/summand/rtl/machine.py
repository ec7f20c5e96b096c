"""The parts that the states of the front's machine share."""

from dataclasses import dataclass, field
from typing import Any

from amaranth import *
from amaranth.lib import data

__all__ = ["Machine", "Orders"]


class Orders(data.StructLayout):
    """The components that the front sets to work.

    Members
    -------
    gemm : 1
        A GEMM: its segments follow, and its first slice is prepared.
    walk : 1
        Its walk: scales and words follow.
    requantise : 1
        A REQUANTISE: its parameters follow.
    drain : 1
        Accumulators are read.
    packet : 1
        A packet is written.
    """

    def __init__(self):
        super().__init__(dict.fromkeys(("gemm", "walk", "requantise", "drain", "packet"), 1))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A state machine while it is described. Its methods add to the state that is open.

    Parameters
    ----------
    m : Module
        Where the machine is described.
    offered : Value
        A beat is at the input.
    activity : View of Activity
        What this cycle was spent on.
    orders : View of Orders
        What begins in the next cycle.
    code : Signal
        Error code of the failure that is being looked for; kept when the machine fails.
    opened : Signal
        The machine takes any beat: it is between commands, or dead. A register, because it drives
        the input's ``ready``.
    loading : Signal
        The machine is at a LOAD's payload. A register for the same reason.
    """

    m: Module
    offered: Value
    activity: Any
    orders: Any = field(default_factory=lambda: Signal(Orders(), name="orders"))
    code: Signal = field(default_factory=lambda: Signal(8, name="code"))
    opened: Signal = field(default_factory=lambda: Signal(init=1, name="opened"))
    loading: Signal = field(default_factory=lambda: Signal(name="loading"))

    def enter(self, state: str) -> None:
        """Go to another state."""
        self.m.next = state
        self.m.d.sync += [
            self.opened.eq(state in ("HEADER", "DEAD")),
            self.loading.eq(state == "LOAD"),
        ]

    def order(self, name: str) -> None:
        """Set one part to work in the next cycle."""
        self.m.d.comb += self.orders[name].eq(1)

    def wait(self) -> None:
        """Count this cycle as a wait for results to leave."""
        self.m.d.comb += self.activity.drain.eq(1)

    def starve(self) -> None:
        """Count this cycle as a wait for the stream if no beat is offered."""
        self.m.d.comb += self.activity.stream.eq(~self.offered)

    def load_beat(self) -> None:
        """Count this cycle as a beat of a load, or as a wait for one."""
        self.starve()
        self.m.d.comb += self.activity.load.eq(self.offered)

    def word(self, taken: Value) -> None:
        """Count this cycle as a beat of words, or as a wait for one or for the array."""
        self.starve()
        self.m.d.comb += [
            self.activity.work.eq(self.offered & taken),
            self.activity.table.eq(self.offered & ~taken),
        ]

    def stored_word(self, taken: Value) -> None:
        """Count this cycle as a word of the operand, or as a wait for one or for the array."""
        self.m.d.comb += [self.activity.work.eq(taken), self.activity.table.eq(~taken)]

    def send_status(self, idle: Signal, then: str) -> None:
        """Order a STATUS packet when all earlier work is done, and go to ``then``."""
        with self.m.If(idle):
            self.order("packet")
            self.enter(then)
        with self.m.Else():
            self.wait()
