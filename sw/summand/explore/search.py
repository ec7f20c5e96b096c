"""The search: every engine that fits a board, each with every allocation of a front."""

import dataclasses
import time
from collections.abc import Callable, Iterator

import numpy as np

from summand.boards.board import Board
from summand.explore.choices import ModelChoices
from summand.explore.engines import EngineClass, classes
from summand.explore.evaluated import Evaluated
from summand.explore.fronts import Fronts, ModelFront, Traffic
from summand.explore.latency import Quick, group_kinds
from summand.explore.point import Found, Point
from summand.explore.refusals import too_small
from summand.explore.selection import select, trace_of
from summand.explore.workload import Limits, Workload
from summand.isa import EngineConfig
from summand.isa.limits import FIELDS
from summand.synth.coefficients import UnknownPartError
from summand.synth.estimate import Resources, estimate

__all__ = ["Search"]


class Search:
    """Looks for the best engines and allocations of a model on a board.

    Parameters
    ----------
    choices : ModelChoices
        What the model's layers may get.
    board : Board
        Where.
    workload : Workload
        What for.
    limits : Limits
        What must be kept.
    """

    def __init__(self, choices: ModelChoices, board: Board, workload: Workload, limits: Limits):
        self._choices, self._board = choices, board
        self._workload, self._limits = workload, limits
        self._kinds = group_kinds(choices)
        self._head = any(kind.head for kind in self._kinds)
        self._fronts = Fronts(choices)
        self._quick = Quick(board, workload, self._kinds)

    @property
    def fronts(self) -> Fronts:
        """The choices behind a point's picks."""
        return self._fronts

    def run(self, progress: Callable[[str, int, int], None] | None = None) -> Found:
        """Evaluate everything that the family's model knows; the same search finds the same.

        Raises
        ------
        ExploreError
            If no engine fits the board, the model does not fit its memory, or no point is within
            all limits; the text says what comes nearest.
        """
        start = time.monotonic()
        longest = max(shape.in_features for shape in self._choices.shapes.values())
        board = self._board
        rate = board.memory.reached_bytes_s / board.clock.engine_hz
        everything = list(classes(longest, rate, self._choices.features))
        evaluated: list[Evaluated] = []
        smallest: tuple[Resources, EngineConfig] | None = None
        for i, each in enumerate(everything):
            for engine, found, least in self._members(each):
                evaluated += [found] if found else []
                if smallest is None or least.luts < smallest[0].luts:
                    smallest = least, engine
            if progress:
                progress("exploring", i + 1, len(everything))
        if not evaluated:
            assert smallest is not None
            raise too_small(board, self._limits, *smallest)
        selected = select(evaluated, board, self._workload, self._limits)
        return Found(
            **selected._asdict(),
            own=self.own(),
            trace=trace_of(evaluated, self._limits),
            points=sum(each.total.size for each in evaluated),
            seconds=time.monotonic() - start,
        )

    def _members(
        self, each: EngineClass
    ) -> Iterator[tuple[EngineConfig, Evaluated | None, Resources]]:
        """Yield each engine of a class in all numbers of rows that fit, and what one row takes."""
        front = self._fronts.front(each.base)
        if front is None:
            return
        for way in each.answering(self._choices.features, head=self._head):
            traffic = self._traffic(way.base, front)
            for engine in way.members():
                try:
                    found, least = self._evaluate(engine, front, traffic)
                except UnknownPartError:  # nothing is known of what the whole class has
                    break
                yield engine, found, least

    def _evaluate(
        self, engine: EngineConfig, front: ModelFront, traffic: Traffic
    ) -> tuple[Evaluated | None, Resources]:
        """Return an engine in all numbers of rows that fit, and what one row takes."""
        resources: list[Resources] = []
        least = estimate(engine, self._board.family)
        for rows in range(1, FIELDS["rows"].high + 1):
            more = least
            if rows > 1:
                more = estimate(dataclasses.replace(engine, rows=rows), self._board.family)
            if not self._fits(more):
                break
            resources.append(more)
        if not resources:
            return None, least
        rows = np.arange(1, len(resources) + 1)
        found = Evaluated.of(engine, resources, rows, front, traffic, self._quick)
        return found, least

    def _traffic(self, engine: EngineConfig, front: ModelFront) -> Traffic:
        """Return what all groups of each kind stream and send back."""
        return self._fronts.traffic(front, engine, [kind.names for kind in self._kinds])

    def _fits(self, resources: Resources) -> bool:
        part, mhz = self._board.chip.part, self._board.clock.engine_hz / 1e6
        if self._limits.luts is not None and resources.luts > self._limits.luts:
            return False
        if resources.fmax_mhz is not None and resources.fmax_mhz < mhz:
            return False
        return not resources.lacking(part)

    def own(self) -> Point | None:
        """Return the quickest point of the board's own engine within loss and memory."""
        engine, board = self._board.engine, self._board
        front = self._fronts.front(engine)
        if front is None:
            return None
        traffic = self._traffic(engine, front)
        rows = np.array([engine.rows])
        resources = [estimate(engine, board.family)]
        mine = Evaluated.of(engine, resources, rows, front, traffic, self._quick)
        total = mine.total[0]
        held = traffic.bits.sum(axis=1) / 8 <= board.memory.bytes
        good = held & (front.loss <= self._limits.kl)
        if not good.any():
            return None
        place = int(np.argmin(np.where(good, total, np.inf)))
        return mine.point(0, place)
