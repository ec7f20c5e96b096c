"""The cost of a program by the cost law, before anything runs."""

from collections.abc import Mapping
from dataclasses import asdict, fields

import numpy as np

from summand.cycles import Timeline
from summand.isa import EngineConfig
from summand.isa.commands import Command, Fence, Store
from summand.isa.packets import Counters
from summand.runtime import Program, Usage
from summand.runtime.driver import FENCE_BEATS

__all__ = ["Law"]

_Commands = tuple[Command, ...]


class Law:
    """Predicts the usage that :meth:`summand.runtime.Driver.run` reports of an unstalled engine.

    It follows the driver: all batches of a call go out without waiting, then a FENCE, and calls
    wait for each other. Calls of equal commands cost the same and are calculated once.
    """

    def __init__(self, config: EngineConfig):
        self._config = config
        self._known: dict[_Commands, Counters] = {}

    def usage(self, program: Program, tokens: int) -> Usage:
        """Return the cost of a call, field for field as the driver reports it."""
        batches = program.schedule(tokens)
        commands: list[Command] = []
        beats = since_fence = 0
        for batch in batches:
            zeros = np.zeros((batch.rows, program.in_features), np.int8)
            sent = sum(map(len, program.chunks(batch, zeros))) // self._config.beat_bytes
            if since_fence and since_fence + sent > FENCE_BEATS:
                commands.append(Fence())
                beats, since_fence = beats + self._config.header_beats, 0
            commands += batch.commands()
            beats, since_fence = beats + sent, since_fence + sent
        if batches:
            commands.append(Fence())
            beats += self._config.header_beats
        return Usage(
            calls=1,
            tokens=tokens,
            beats=beats,
            stream_bits=beats * self._config.stream_bits,
            answer_bytes=program.answer_bytes(batches, sum(isinstance(c, Fence) for c in commands)),
            plane_words=sum(batch.plane_words for batch in batches),
            macs=program.macs * tokens,
            counters=self._counters(tuple(commands)),
        )

    def total(self, calls: Mapping[tuple[Program, int], int]) -> dict[str, Usage]:
        """Return the cost of many calls, by program.

        Parameters
        ----------
        calls : mapping
            How often each program was run for each number of tokens, like
            :attr:`summand.runtime.Driver.calls`.
        """
        costs: dict[str, Usage] = {}
        for (program, tokens), times in calls.items():
            cost = _repeated(self.usage(program, tokens), times)
            costs[program.name] = costs.get(program.name, Usage()) + cost
        return costs

    def _counters(self, commands: _Commands) -> Counters:
        """Return the counters of a FENCE before the commands, subtracted from those of the last.

        The FENCE before ends a call too, so it waits for results as every call's does.
        """
        if not commands:
            return Counters()
        if commands not in self._known:
            timeline = Timeline(self._config)
            timeline.run(Store(0, 1, 1, limbs=self._config.acc_limbs))
            before = timeline.run(Fence())
            timeline.await_host()
            *_, after = map(timeline.run, commands)
            assert before is not None
            assert after is not None  # a FENCE reports
            self._known[commands] = after.since(before)
        return self._known[commands]


def _repeated(usage: Usage, times: int) -> Usage:
    names = (f.name for f in fields(usage) if f.name != "counters")
    counters = Counters(**{n: v * times for n, v in asdict(usage.counters).items()})
    return Usage(counters=counters, **{n: getattr(usage, n) * times for n in names})
