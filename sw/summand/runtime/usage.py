"""The cost of calls: stream, work, and the engine's cycles."""

from dataclasses import asdict, dataclass, field

from summand.isa.packets import Counters

__all__ = ["Usage"]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The cost of one or more calls.

    Parameters
    ----------
    calls : int
        Program runs.
    tokens : int
        Tokens computed.
    beats : int
        Input stream beats, all commands and their payloads.
    stream_bits : int
        The same in bits.
    answer_bytes : int
        Of all packets that answered.
    plane_words : int
        Plane words sent.
    macs : int
        Multiplications of the layers' matrices, without padding.
    counters : Counters
        The engine's cycles by cause, summed up without wrapping; all zero from a device that does
        not count.
    """

    calls: int = 0
    tokens: int = 0
    beats: int = 0
    stream_bits: int = 0
    answer_bytes: int = 0
    plane_words: int = 0
    macs: int = 0
    counters: Counters = field(default_factory=Counters)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{n: getattr(self, n) + getattr(other, n) for n in self.__dict__})

    def since(self, earlier: "Usage") -> "Usage":
        """Return the cost after ``earlier``."""
        mine, theirs = asdict(self.counters), asdict(earlier.counters)
        names = [n for n in self.__dict__ if n != "counters"]
        return Usage(
            counters=Counters(**{n: mine[n] - theirs[n] for n in mine}),
            **{n: getattr(self, n) - getattr(earlier, n) for n in names},
        )

    @property
    def work_share(self) -> float | None:
        """Share of the cycles in which a plane word entered the array; None if none counted."""
        return self.counters.work / self.counters.cycles if self.counters.cycles else None

    @property
    def stream_share(self) -> float | None:
        """Beats sent a cycle: 1 where the stream is the limit; None if no cycles were counted."""
        return self.beats / self.counters.cycles if self.counters.cycles else None

    @property
    def macs_per_cycle(self) -> float | None:
        """Multiplications a cycle; None if no cycles were counted."""
        return self.macs / self.counters.cycles if self.counters.cycles else None
