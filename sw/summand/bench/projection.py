"""Tokens a second of boards by memory, clock and link, from cycles and bytes of one token."""

from dataclasses import dataclass

from summand.boards.board import Board
from summand.runtime import Usage
from summand.runtime.memory.traffic import LinkTraffic

__all__ = ["Projection", "project", "tokens_per_gb"]


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Tokens a second of a board whose memory feeds its engine: projected, not measured.

    Parameters
    ----------
    board : str
        Its name.
    memory_bytes_s : float
        What linear reads of its memory reach.
    clock_hz : int
        The engine's clock.
    stream_bytes_s : float
        The engine's stream rate at that clock.
    token_bytes : float
        Bytes streamed for a token.
    fits : bool
        Whether the memory holds them.
    by_memory : float
        Tokens a second if the memory were the only limit.
    by_clock : float
        Tokens a second if the engine's cycles were the only limit.
    link_bytes_s : float
        What the board's link reaches, one way.
    traffic : LinkTraffic
        What goes over it for a token.
    by_link : float
        Tokens a second if the link were the only limit.
    """

    board: str
    memory_bytes_s: float
    clock_hz: int
    stream_bytes_s: float
    token_bytes: float
    fits: bool
    by_memory: float
    by_clock: float
    link_bytes_s: float
    traffic: LinkTraffic
    by_link: float

    @property
    def tokens_s(self) -> float:
        """The smaller of memory's and clock's rate, and the link's time besides.

        A buffer in front of the engine is assumed, and that nothing is computed while the link is
        used: the next activations come of the results. The host's own time is not in it.
        """
        return 1 / (1 / min(self.by_memory, self.by_clock) + 1 / self.by_link)

    @property
    def limit(self) -> str:
        """What takes longest: ``memory``, ``clock`` or ``link``."""
        limits = {"memory": self.by_memory, "clock": self.by_clock, "link": self.by_link}
        return min(limits, key=lambda name: limits[name])


def tokens_per_gb(usage: Usage, stream_bits: int, *, tokens: int = 1) -> float:
    """Return tokens a second for each GB/s (1e9 bytes) of an engine's peak stream rate.

    Cycles in which nothing is streamed are lost bandwidth: the bits alone would take
    ``usage.stream_share`` times the time.

    Parameters
    ----------
    usage : Usage
        What ``tokens`` tokens cost.
    stream_bits : int
        Width of the engine's stream.
    tokens : int
        How many were written for that.
    """
    return 8e9 * tokens / (usage.counters.cycles * stream_bits)


def project(board: Board, token: Usage, traffic: LinkTraffic) -> Projection:
    """Project a board's decoding.

    Parameters
    ----------
    token : Usage
        Of one token on ``board.engine``, all layers.
    traffic : LinkTraffic
        Of the same token, its weights in the board's memory.
    """
    token_bytes = token.stream_bits / 8
    return Projection(
        board=board.name,
        memory_bytes_s=board.memory.reached_bytes_s,
        clock_hz=board.clock.engine_hz,
        stream_bytes_s=board.clock.engine_hz * board.engine.stream_bits / 8,
        token_bytes=token_bytes,
        fits=token_bytes <= board.memory.bytes,
        by_memory=board.memory.reached_bytes_s / token_bytes,
        by_clock=board.clock.engine_hz / token.counters.cycles,
        link_bytes_s=board.link.bytes_s,
        traffic=traffic,
        by_link=1 / traffic.seconds(board.link.bytes_s, board.link.round_trip_s),
    )
