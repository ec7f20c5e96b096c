"""Tokens a second of boards by their memory and clock, from cycles and bits of one token."""

from dataclasses import dataclass

from summand.boards.board import Board
from summand.runtime import Usage

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
    """

    board: str
    memory_bytes_s: float
    clock_hz: int
    stream_bytes_s: float
    token_bytes: float
    fits: bool
    by_memory: float
    by_clock: float

    @property
    def tokens_s(self) -> float:
        """The smaller of both limits, assuming a buffer in front of the engine."""
        return min(self.by_memory, self.by_clock)

    @property
    def limit(self) -> str:
        """The tighter limit: ``memory`` or ``clock``."""
        return "memory" if self.by_memory < self.by_clock else "clock"


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


def project(board: Board, token: Usage) -> Projection:
    """Project a board's decoding.

    Parameters
    ----------
    token : Usage
        Of one token on ``board.engine``, all layers.
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
    )
