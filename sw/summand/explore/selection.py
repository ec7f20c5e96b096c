"""Which of all evaluated points are kept."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from summand.boards.board import Board
from summand.explore.evaluated import Evaluated
from summand.explore.features import features_of
from summand.explore.point import Point
from summand.explore.refusals import nearest, too_large
from summand.explore.workload import Limits, Workload
from summand.families.cells import CELL_KINDS
from summand.isa import EngineConfig

__all__ = ["Selected", "select", "spread", "trace_of", "undominated"]

_Floats = npt.NDArray[np.float64]

#: How much slower than the quickest an engine may be, to be smaller.
_CLOSE = 0.01


class Selected(NamedTuple):
    """Points that are kept; :class:`~summand.explore.point.Found` describes them."""

    front: tuple[Point, ...]
    small: tuple[Point, ...]
    features: Mapping[str, Point]
    chosen: Point


def select(
    evaluated: Sequence[Evaluated], board: Board, workload: Workload, limits: Limits
) -> Selected:
    """Choose from all points.

    Raises
    ------
    ExploreError
        If the board's memory holds none, or none is within all limits.
    """
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
        return evaluated[which[index]].point(row[index], place[index])

    held = size <= board.memory.bytes
    if not held.any():
        raise too_large(board, float(size.min()))
    front = undominated(total, loss, held)
    rate = workload.batch / np.maximum(decode, 1e-30)
    quick = rate >= limits.tokens_s
    good = held & (loss <= limits.kl) & quick
    if not good.any():
        raise nearest(board, limits, held, loss, rate)
    close = good & (total <= total[good].min() * (1 + _CLOSE))
    best = int(np.flatnonzero(close)[np.lexsort((total[close], loss[close], luts[close]))[0]])
    small = undominated(luts, total, good & (loss <= loss[best] * 1.0001))
    features: dict[str, Point] = {}
    for results in (False, True):
        names = np.array([_features(each.engine, results=results) for each in evaluated])
        for name in sorted(set(names[which[good]].tolist())):
            mine = np.flatnonzero(good & (names == name)[which])
            features[name] = point(int(mine[np.argmin(total[mine])]))
    return Selected(tuple(map(point, front)), tuple(map(point, small)), features, point(best))


def spread(front: Sequence[Point], chosen: Point, count: int) -> tuple[Point, ...]:
    """Return so many points of a front at about equal distances of time, the quickest first.

    The ends are among them, and the chosen one in the place of the nearest, whether or not it is of
    the front. There are fewer if the front has no more.
    """
    left = [point for point in front if not point.same(chosen)]
    goals = np.linspace(front[0].total_s, front[-1].total_s, count)
    goals = np.delete(goals, np.abs(goals - chosen.total_s).argmin())
    nearest = [
        left.pop(int(np.argmin([abs(point.total_s - goal) for point in left])))
        for goal in goals[: len(left)]
    ]
    return tuple(sorted([chosen, *nearest], key=lambda point: point.total_s))


def trace_of(evaluated: Sequence[Evaluated], limits: Limits) -> dict[str, npt.NDArray[Any]]:
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
            np.where(each.front.loss <= limits.kl, each.total, np.inf).min(axis=1)
            for each in evaluated
        ]
    )
    return found


def _features(engine: EngineConfig, *, results: bool) -> str:
    """Return an engine's features of weights, or of results, in words."""
    mine = [feature.title for feature in features_of(engine) if feature.results == results]
    return ", ".join(mine) or ("results of 32 bits" if results else "none")


def undominated(first: _Floats, second: _Floats, allowed: npt.NDArray[np.bool_]) -> list[int]:
    """Return the allowed places that no other beats in both, by the first figure."""
    places = np.flatnonzero(allowed)
    order = places[np.lexsort((second[places], first[places]))]
    least = np.minimum.accumulate(second[order])
    fresh = np.concatenate([[True], second[order][1:] < least[:-1]])
    return [int(i) for i in order[fresh]]
