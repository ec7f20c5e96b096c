"""The cost of a pass over all weights by the number of tokens that share it."""

from collections.abc import Sequence

from summand.bench.law import Law
from summand.boards.board import Board
from summand.isa import EngineConfig
from summand.runtime import Program, Usage

__all__ = ["pass_cost", "row_costs"]


def pass_cost(law: Law, programs: Sequence[Program], tokens: int) -> Usage:
    """Return the cost of one pass of ``tokens`` tokens through all programs, by the cost law."""
    return sum((law.usage(program, tokens) for program in programs), Usage())


def row_costs(
    config: EngineConfig, programs: Sequence[Program], link: Board | None = None
) -> tuple[float, ...]:
    """Return the cost of a pass with 1, 2, ... and all rows of an engine.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    programs : sequence of Program
        All layers that a token goes through.
    link : Board, optional
        The board whose link carries the stream.

    Returns
    -------
    tuple of float
        Cycles; with a ``link`` seconds, of whatever takes longest: the line there, the line back or
        the engine.
    """
    law, costs = Law(config), []
    for tokens in range(1, config.rows + 1):
        usage = pass_cost(law, programs, tokens)
        if link is None:
            costs.append(usage.counters.cycles)
            continue
        rate = link.link.bytes_s
        there, back = usage.stream_bits / 8 / rate, usage.answer_bytes / rate
        costs.append(max(there, back, usage.counters.cycles / link.clock.engine_hz))
    return tuple(costs)
