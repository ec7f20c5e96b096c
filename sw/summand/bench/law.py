"""What the cost law says of a program, before anything runs."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

import numpy as np

from summand.cycles import Command, Fence, Timeline, read_commands
from summand.isa import EngineConfig
from summand.isa.packets import Counters
from summand.runtime import Program, Usage
from summand.runtime.driver import FENCE_BEATS

__all__ = ["Law"]

_Commands = tuple[Command, ...]


class Law:
    """Predicts what :meth:`summand.runtime.Driver.run` reports of an engine that nothing stalls.

    It reads the very bytes that the driver sends, and follows the driver's order: a batch of
    tokens goes out when everything before it has been answered, and a FENCE after the last. Calls
    of equal commands cost the same and are worked out once.
    """

    def __init__(self, config: EngineConfig):
        self._config = config
        self._known: dict[tuple[_Commands, ...], Counters] = {}

    def usage(self, program: Program, tokens: int) -> Usage:
        """Return what a call costs, field for field as the driver reports it."""
        batches = program.batches(tokens)
        chunks = {rows: _chunks(program, rows) for rows in set(batches)}
        commands = {rows: tuple(read_commands(sent, self._config)) for rows, sent in chunks.items()}
        sizes = {
            rows: sum(map(len, sent)) // self._config.beat_bytes for rows, sent in chunks.items()
        }
        fenced = _fenced(batches, sizes)
        beats = sum(sizes[rows] for rows in batches) + self._config.header_beats * len(fenced)
        counters = Counters()
        for part in fenced:
            counters += self._counters(tuple(commands[rows] for rows in part))
        return Usage(
            calls=1,
            tokens=tokens,
            beats=beats,
            stream_bits=beats * self._config.stream_bits,
            plane_words=program.plane_words * len(batches),
            macs=program.macs * tokens,
            counters=counters,
        )

    def total(self, calls: Mapping[tuple[Program, int], int]) -> dict[str, Usage]:
        """Return what many calls cost, by program.

        Parameters
        ----------
        calls : mapping
            How often each program was run for each number of tokens, as
            :attr:`summand.runtime.Driver.calls` has it.
        """
        costs: dict[str, Usage] = {}
        for (program, tokens), times in calls.items():
            cost = _repeated(self.usage(program, tokens), times)
            costs[program.name] = costs.get(program.name, Usage()) + cost
        return costs

    def _counters(self, batches: tuple[_Commands, ...]) -> Counters:
        if batches not in self._known:
            self._known[batches] = _spent(batches, self._config)
        return self._known[batches]


def _fenced(batches: Sequence[int], sizes: Mapping[int, int]) -> list[list[int]]:
    """Cut a call's batches as the driver does, which sends a FENCE behind each part."""
    parts: list[list[int]] = [[]]
    sent = 0
    for rows in batches:
        if sent and sent + sizes[rows] > FENCE_BEATS:
            parts.append([])
            sent = 0
        parts[-1].append(rows)
        sent += sizes[rows]
    return parts


def _chunks(program: Program, rows: int) -> list[bytes]:
    return program.chunks(np.zeros((rows, program.in_features), np.int16))


def _spent(batches: Sequence[_Commands], config: EngineConfig) -> Counters:
    """Return the difference of what two FENCEs report, one before and one behind the batches."""
    timeline = Timeline(config)
    before = timeline.run(Fence())
    timeline.await_host()
    skipped = Counters()
    for batch, same in itertools.groupby(batches):
        count = len(list(same))
        last = Counters()
        for _ in range(min(count, 2)):
            start = timeline.spent
            for command in batch:
                timeline.run(command)
            timeline.await_host()
            last = timeline.spent.since(start)
        # Each begins with an engine at rest, and from the second on after a batch of the same kind.
        skipped += _times(last, max(0, count - 2))
    after = timeline.run(Fence())
    assert before is not None
    assert after is not None  # a FENCE reports
    return after.since(before) + skipped


def _times(counters: Counters, factor: int) -> Counters:
    return Counters(**{n: v * factor for n, v in asdict(counters).items()})


def _repeated(usage: Usage, times: int) -> Usage:
    names = (f.name for f in fields(usage) if f.name != "counters")
    return Usage(
        counters=_times(usage.counters, times), **{n: getattr(usage, n) * times for n in names}
    )
