"""What goes over a board's link where weights lie in its memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from summand.isa.commands import Fence
from summand.isa.player import Item, ItemOp
from summand.runtime.program import Program, Step
from summand.schedule.steps import Input, PlanStep

__all__ = ["LinkTraffic"]


@dataclass(frozen=True, kw_only=True)
class LinkTraffic:
    """Bytes over a link, and how often a host waits for the last of them.

    Parameters
    ----------
    down : int
        Bytes of items.
    up : int
        Bytes of packets.
    calls : int
        Calls whose results come before the next one's activations go.
    """

    down: int = 0
    up: int = 0
    calls: int = 0

    def __add__(self, other: "LinkTraffic") -> "LinkTraffic":
        return LinkTraffic(
            down=self.down + other.down, up=self.up + other.up, calls=self.calls + other.calls
        )

    def seconds(self, bytes_s: float, round_trip_s: float) -> float:
        """Return the time that a link takes, one direction after the other."""
        return (self.down + self.up) / bytes_s + self.calls * round_trip_s

    @classmethod
    def of(cls, programs: Iterable[Program], tokens: int) -> "LinkTraffic":
        """Count a call of each program for ``tokens`` tokens, its weights in the memory."""
        return sum((cls._call(program, tokens) for program in programs), cls())

    @classmethod
    def _call(cls, program: Program, tokens: int) -> "LinkTraffic":
        config = program.config
        head = len(Item(ItemOp.PLAY, 0).encode(config))
        # Where the weights are in the memory, what they are does not matter.
        batches = replace(program, held=True, fill=_unfilled).schedule(tokens)
        down = 0
        for batch in batches:
            literal = False  # what comes next goes on in the same item
            for step, command in zip(batch.steps, batch.commands(), strict=True):
                carried = command.payload_beats(config) * config.beat_bytes
                played = carried > 0 and not isinstance(step.plan, Input)
                down += len(command.encode(config)) + (0 if literal else head)
                down += head if played else carried
                literal = not played
        fence = len(Fence().encode(config))
        return cls(down=down + head + fence, up=program.answer_bytes(batches, 1), calls=1)


def _unfilled(steps: Sequence[PlanStep]) -> tuple[Step, ...]:
    return tuple(map(Step, steps))
