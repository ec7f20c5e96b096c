"""The search: every engine that fits a board, each with every allocation of a front."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.boards.board import Board
from summand.boards.library import packaged_boards
from summand.explore.choices import ModelChoices
from summand.explore.engines import classes
from summand.explore.errors import ExploreError
from summand.explore.fronts import Fronts, ModelFront, totals
from summand.explore.latency import Quick, Times, group_kinds
from summand.explore.workload import Limits, Workload
from summand.families.cells import CELL_KINDS
from summand.isa import EngineConfig
from summand.isa.limits import FIELDS
from summand.synth.estimate import Resources, estimate

__all__ = ["Found", "Point", "Search"]

_Floats = npt.NDArray[np.float64]

#: How much slower than the quickest an engine may be, to be smaller.
_CLOSE = 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class Point:
    """An engine and an allocation, as predicted.

    Parameters
    ----------
    engine : EngineConfig
        The engine.
    picks : mapping of str to int
        Which of its shape's choices each layer gets.
    loss : float
        Nats a token, estimated.
    bits : int
        Streamed for a pass over all weights, padding counted.
    resources : Resources
        By the model.
    decode_cycles, prefill_cycles : float
        Of a pass that writes, and of reading the prompts, estimated.
    decode_s, prefill_s, total_s : float
        Seconds with memory and link; of a pass, of the prompts and of the whole workload.
    """

    engine: EngineConfig
    picks: Mapping[str, int]
    loss: float
    bits: int
    resources: Resources
    decode_cycles: float
    prefill_cycles: float
    decode_s: float
    prefill_s: float
    total_s: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """The result of a search.

    Parameters
    ----------
    front : tuple of Point
        Those that no other beats in both time and loss, the quickest first.
    small : tuple of Point
        At the loss of the chosen one or less, those that no other beats in both time and look-up
        tables, the smallest first.
    features : mapping of str to Point
        For each set of features of an engine, the quickest within all limits.
    own : Point or None
        The quickest within all limits on the engine of the board's file; None where it computes
        nothing of what layers may get.
    chosen : Point
        The smallest of those that are within a hundredth of the quickest within all limits.
    trace : mapping of str to array, shape ``[engines]``
        Every engine's fields, resources, and least time within the limit of loss, infinite where
        its features admit nothing so good.
    points : int
        Engines with an allocation that were evaluated.
    seconds : float
        For that.
    """

    front: tuple[Point, ...]
    small: tuple[Point, ...]
    features: Mapping[str, Point]
    own: Point | None
    chosen: Point
    trace: Mapping[str, npt.NDArray[Any]]
    points: int
    seconds: float


@dataclass(eq=False)
class _Evaluated:
    """The engines of one class with one number of memories and writers, in all their rows."""

    engine: EngineConfig
    rows: npt.NDArray[np.int64]
    resources: list[Resources]
    front: ModelFront
    bits: _Floats
    times: Times
    total: _Floats = field(init=False)

    def point(self, row: int, place: int, workload: Workload) -> Point:
        """Return the engine of a number of rows with an allocation of the front."""
        times = self.times
        return Point(
            engine=dataclasses.replace(self.engine, rows=int(self.rows[row])),
            picks={name: int(picks[place]) for name, picks in self.front.picks.items()},
            loss=float(self.front.loss[place]),
            bits=int(self.bits[place].sum()),
            resources=self.resources[row],
            decode_cycles=float(times.decode_cycles[row, place]),
            prefill_cycles=float(times.prefill_cycles[row, place]),
            decode_s=float(times.decode_s[row, place]),
            prefill_s=float(times.prefill_s[row, place]),
            total_s=float(times.total(workload)[row, place]),
        )


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
        self._fronts = Fronts(choices)
        self._quick = Quick(board, workload, self._kinds)

    @property
    def fronts(self) -> Fronts:
        """The choices behind a point's picks."""
        return self._fronts

    def run(self, progress: Callable[[str, int, int], None] | None = None) -> Found:
        """Evaluate everything; the same search finds the same.

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
        everything = list(classes(longest, rate))
        evaluated: list[_Evaluated] = []
        smallest: tuple[Resources, EngineConfig] | None = None
        for i, each in enumerate(everything):
            front = self._fronts.front(each.base)
            if front is not None:
                bits = totals(
                    front,
                    self._choices.shapes,
                    [kind.layers for kind in self._kinds],
                    self._fronts.bits(each.base),
                )
                for engine in each.members():
                    found, least = self._evaluate(engine, front, bits)
                    evaluated += [found] if found else []
                    if smallest is None or least.luts < smallest[0].luts:
                        smallest = least, engine
            if progress:
                progress("exploring", i + 1, len(everything))
        if not evaluated:
            assert smallest is not None
            raise self._too_small(*smallest)
        front, small, features, chosen = self._best(evaluated)
        return Found(
            front=front,
            small=small,
            features=features,
            own=self._own(),
            chosen=chosen,
            trace=self._trace(evaluated),
            points=sum(each.total.size for each in evaluated),
            seconds=time.monotonic() - start,
        )

    def _evaluate(
        self, engine: EngineConfig, front: ModelFront, bits: _Floats
    ) -> tuple[_Evaluated | None, Resources]:
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
        found = _Evaluated(
            engine=engine,
            rows=rows,
            resources=resources,
            front=front,
            bits=bits,
            times=self._quick.times(engine, rows, bits),
        )
        found.total = found.times.total(self._workload)
        return found, least

    def _fits(self, resources: Resources) -> bool:
        part, mhz = self._board.chip.part, self._board.clock.engine_hz / 1e6
        if self._limits.luts is not None and resources.luts > self._limits.luts:
            return False
        if resources.fmax_mhz is not None and resources.fmax_mhz < mhz:
            return False
        return all(getattr(resources, k.name) <= getattr(part, k.name) for k in CELL_KINDS)

    def _best(
        self, evaluated: list[_Evaluated]
    ) -> tuple[tuple[Point, ...], tuple[Point, ...], dict[str, Point], Point]:
        """Return fronts of time and loss, of time and size, the best of each, and the chosen."""
        workload, limits, memory = self._workload, self._limits, self._board.memory.bytes
        columns: list[_Floats] = []
        for i, each in enumerate(evaluated):
            rows, places = np.indices(each.total.shape)
            luts = np.array([r.luts for r in each.resources], float)
            columns.append(
                np.stack(
                    [
                        each.total.ravel(),
                        each.front.loss[places].ravel(),
                        luts[rows].ravel(),
                        each.times.decode_s.ravel(),
                        (each.bits.sum(axis=1) / 8)[places].ravel(),
                        *(
                            x.astype(float)
                            for x in (np.full(rows.size, i), rows.ravel(), places.ravel())
                        ),
                    ]
                )
            )
        table = np.concatenate(columns, axis=1)
        total, loss, luts, decode, size = table[:5]
        which, row, place = table[5:].astype(np.int64)

        def point(index: int) -> Point:
            return evaluated[which[index]].point(row[index], place[index], workload)

        held = size <= memory
        if not held.any():
            raise self._too_large(float(size.min()))
        front = _undominated(total, loss, held)
        rate = workload.batch / np.maximum(decode, 1e-30)
        quick = rate >= limits.tokens_s
        good = held & (loss <= limits.kl) & quick
        if not good.any():
            raise self._nearest(held, loss, rate)
        close = good & (total <= total[good].min() * (1 + _CLOSE))
        best = int(np.flatnonzero(close)[np.lexsort((total[close], loss[close], luts[close]))[0]])
        small = _undominated(luts, total, good & (loss <= loss[best] * 1.0001))
        features: dict[str, Point] = {}
        names = np.array([_features(each.engine) for each in evaluated])
        for name in sorted(set(names[which[good]].tolist())):
            mine = np.flatnonzero(good & (names == name)[which])
            features[name] = point(int(mine[np.argmin(total[mine])]))
        return tuple(map(point, front)), tuple(map(point, small)), features, point(best)

    def _own(self) -> Point | None:
        """Return the best point of the board's own engine."""
        engine, board = self._board.engine, self._board
        front = self._fronts.front(engine)
        if front is None:
            return None
        bits = totals(
            front,
            self._choices.shapes,
            [kind.layers for kind in self._kinds],
            self._fronts.bits(engine),
        )
        rows = np.array([engine.rows])
        mine = _Evaluated(
            engine=engine,
            rows=rows,
            resources=[estimate(engine, board.family)],
            front=front,
            bits=bits,
            times=self._quick.times(engine, rows, bits),
        )
        total = mine.times.total(self._workload)[0]
        good = (front.loss <= self._limits.kl) & (bits.sum(axis=1) / 8 <= board.memory.bytes)
        if not good.any():
            return None
        place = int(np.argmin(np.where(good, total, np.inf)))
        return mine.point(0, place, self._workload)

    def _trace(self, evaluated: list[_Evaluated]) -> dict[str, npt.NDArray[Any]]:
        """Return what is known of every engine."""
        counts = [len(each.rows) for each in evaluated]
        found: dict[str, npt.NDArray[Any]] = {
            name: np.repeat([getattr(each.engine, name) for each in evaluated], counts)
            for name in (f.name for f in dataclasses.fields(EngineConfig))
        }
        found["rows"] = np.concatenate([each.rows for each in evaluated])
        resources = [r for each in evaluated for r in each.resources]
        for kind in CELL_KINDS:
            found[kind.name] = np.array([getattr(r, kind.name) for r in resources])
        found["total_s"] = np.concatenate(
            [
                np.where(each.front.loss <= self._limits.kl, each.total, np.inf).min(axis=1)
                for each in evaluated
            ]
        )
        return found

    def _too_small(self, least: Resources, engine: EngineConfig) -> ExploreError:
        part, limits = self._board.chip.part, self._limits
        lacking = [
            f"{getattr(least, k.name):,} {k.title} of {getattr(part, k.name):,}"
            for k in CELL_KINDS
            if getattr(least, k.name) > getattr(part, k.name)
        ]
        if limits.luts is not None and least.luts > limits.luts:
            lacking.append(f"{least.luts:,} look-up tables of the {limits.luts:,} allowed")
        mhz = self._board.clock.engine_hz / 1e6
        if least.fmax_mhz is not None and least.fmax_mhz < mhz:
            lacking.append(f"a clock of {mhz:g} MHz, and reaches {least.fmax_mhz:.0f}")
        return ExploreError(
            f"no engine for this model fits {self._board.name}: the smallest takes "
            f"{', '.join(lacking)}{_larger(engine)}"
        )

    def _too_large(self, least: float) -> ExploreError:
        held = self._board.memory.bytes
        larger = sorted(
            (board.memory.bytes, name)
            for name, board in packaged_boards().items()
            if board.memory.bytes >= least
        )
        other = f"; the smallest board that could is {larger[0][1]}" if larger else ""
        return ExploreError(
            f"the model fits the memory of {self._board.name} at no setting: it takes "
            f"{least / 1e6:.1f} MB at least, {(least - held) / 1e6:.1f} MB more than there are"
            f"{other}"
        )

    def _nearest(self, held: npt.NDArray[np.bool_], loss: _Floats, rate: _Floats) -> ExploreError:
        limits = self._limits
        close, quick = held & (loss <= limits.kl), held & (rate >= limits.tokens_s)
        said = []
        if close.any():
            said.append(f"at a loss of {limits.kl:g} nats at most {rate[close].max():.3g} tokens/s")
        else:
            said.append(f"the least loss is {loss[held].min():.3g} nats")
        if quick.any():
            said.append(
                f"at {limits.tokens_s:g} tokens/s the least loss is {loss[quick].min():.3g} nats"
            )
        else:
            said.append(f"the most are {rate[held].max():.3g} tokens/s")
        return ExploreError(
            f"no point keeps all limits on {self._board.name}: {'; '.join(said)}. Raise --max-kl, "
            f"or lower --min-tokens-per-second"
        )


def _larger(engine: EngineConfig) -> str:
    """Return which board is the smallest on which an engine fits by a model, if there is one."""
    found: list[tuple[int, str]] = []
    for board in packaged_boards().values():
        if board.family.modelled:
            part, needed = board.chip.part, estimate(engine, board.family)
            if all(getattr(needed, k.name) <= getattr(part, k.name) for k in CELL_KINDS):
                found.append((part.luts, board.name))
    return f"; the smallest board that has room for it is {min(found)[1]}" if found else ""


def _features(engine: EngineConfig) -> str:
    """Return what an engine has besides dense whole-layer weights, in words."""
    have = {
        "group scales": engine.scale_bits,
        "half-steps": engine.half_steps,
        "N:M": engine.sparse_block,
        "low rank": engine.shift,
    }
    return ", ".join(name for name, there in have.items() if there) or "none"


def _undominated(first: _Floats, second: _Floats, allowed: npt.NDArray[np.bool_]) -> list[int]:
    """Return the allowed places that no other beats in both, by the first figure."""
    places = np.flatnonzero(allowed)
    order = places[np.lexsort((second[places], first[places]))]
    least = np.minimum.accumulate(second[order])
    fresh = np.concatenate([[True], second[order][1:] < least[:-1]])
    return [int(i) for i in order[fresh]]
