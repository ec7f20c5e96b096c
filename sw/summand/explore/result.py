"""The result of an exploration as plain data, every figure with its source."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.boards.board import Board
from summand.explore.allocated import Allocated
from summand.explore.choices import ModelChoices
from summand.explore.exact import Counted
from summand.explore.features import features_of
from summand.explore.files import written_whole
from summand.explore.point import Found, Point
from summand.explore.workload import Limits, Workload
from summand.families.cells import CELL_KINDS
from summand.isa import EngineConfig
from summand.report.texts import TextFigures
from summand.schedule.traffic import layer_traffic

__all__ = [
    "LOSS_SCALE",
    "Known",
    "layers_of",
    "measured_table",
    "point_record",
    "predicted_ratio",
    "record_of",
    "write_trace",
]

#: Logarithm of the perplexity's ratio, for a nat of estimated loss. An allocation adds up layers as
#: if their errors were independent, on the calibration text itself; SmolLM2 at 3.0 and 3.5 bits
#: loses 1.33 and 1.39 times as much on text of the same kind that calibration has not read.
LOSS_SCALE = 1.36


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """What is known of a point besides what is predicted.

    Parameters
    ----------
    point : Point
        The point.
    counted : Counted
        Cycles of all layers, by the cost law.
    measured : mapping, optional
        Figures of the compressed model, and its folder, if it was made.
    """

    point: Point
    counted: Counted
    measured: Mapping[str, Any] | None = None


def predicted_ratio(loss: float) -> float:
    """Return the perplexity of an estimated loss, as a multiple of the uncompressed model's."""
    return math.exp(LOSS_SCALE * loss)


def point_record(
    point: Point,
    choices: ModelChoices,
    workload: Workload,
    known: Sequence[Known] = (),
) -> dict[str, Any]:
    """Return a point's figures: predicted, and what is known of it besides."""
    cycles = {
        "source": "estimated",
        "decode": round(point.decode_cycles),
        "prefill": round(point.prefill_cycles),
    }
    more = next((each for each in known if each.point.same(point)), None)
    if more:
        cycles = {
            "source": "modelled",
            "decode": more.counted.decode_cycles,
            "prefill": more.counted.prefill_cycles,
        }
    return {
        "digest": point.engine.digest,
        "engine": dataclasses.asdict(point.engine),
        "with": {feature.letter: feature.title for feature in features_of(point.engine)},
        "bits_per_weight": point.bits / choices.weights,
        "loss": point.loss,
        "perplexity_ratio": predicted_ratio(point.loss),
        "cycles": cycles,
        "projected": {
            "decode_s": point.decode_s,
            "prefill_s": point.prefill_s,
            "total_s": point.total_s,
            "tokens_s": workload.batch / point.decode_s if point.decode_s else None,
        },
        "modelled": {
            **{kind.name: getattr(point.resources, kind.name) for kind in CELL_KINDS},
            "fmax_mhz": point.resources.fmax_mhz,
        },
        "measured": more.measured if more else None,
    }


def record_of(
    found: Found,
    choices: ModelChoices,
    board: Board,
    workload: Workload,
    limits: Limits,
    known: Sequence[Known],
) -> dict[str, Any]:
    """Return a search's result; the chosen point is among those that more is known of."""
    own = point_record(found.own, choices, workload) if found.own else None
    return {
        "board": board.name,
        "part": board.chip.part.name,
        "available": {kind.name: getattr(board.chip.part, kind.name) for kind in CELL_KINDS},
        "workload": dataclasses.asdict(workload),
        "limits": dataclasses.asdict(limits),
        "weights": choices.weights,
        "engines": len(found.trace["rows"]),
        "points": found.points,
        "search_s": round(found.seconds, 3),
        "front": [point_record(point, choices, workload, known) for point in found.front],
        "chosen": point_record(found.chosen, choices, workload, known),
        "small": [point_record(point, choices, workload) for point in found.small],
        "own": own,
        "features": [
            {"features": name, **point_record(point, choices, workload)}
            for name, point in found.features.items()
        ],
    }


def layers_of(
    what: Allocated, counted: Sequence[Counted], engine: EngineConfig, workload: Workload
) -> list[dict[str, Any]]:
    """Return each group of layers: what its layers get, and its cycles by the cost law."""
    choices = what.joined.choices
    found = []
    for group, head, cycles in zip(what.groups, what.heads, counted, strict=True):
        sizes = [what.sizes[name] for name in group]
        macs = sum(each.in_features * each.out_features for each in sizes)
        found.append(
            {
                "macs": macs,
                "decode": {
                    "tokens": workload.batch,
                    "cycles": cycles.decode_cycles,
                    "bytes": cycles.decode_beats * engine.beat_bytes,
                },
                "prefill": {
                    "tokens": workload.read(head=head),
                    "cycles": cycles.prefill_cycles,
                    "bytes": cycles.prefill_beats * engine.beat_bytes,
                },
                "layers": [
                    {
                        "name": name,
                        "in_features": each.in_features,
                        "out_features": each.out_features,
                        "summands": choices[name].label,
                        "bits": layer_traffic(each).total / (each.in_features * each.out_features),
                    }
                    for name, each in zip(group, sizes, strict=True)
                ],
            }
        )
    return found


def measured_table(
    known: Known,
    figures: TextFigures,
    cycles: Mapping[str, Any],
    cells: Mapping[str, Any],
    engine_hz: int,
) -> list[dict[str, Any]]:
    """Return prediction beside measurement, a row a figure.

    ``cells`` have a clock too where the engine was routed; what is predicted of it is None for
    engines of which the model has no clock.
    """
    point, counted, (decode, *_) = known.point, known.counted, cycles["phases"]
    rows = [
        ("cycles of a pass that writes", counted.decode_cycles, decode["cycles"]),
        ("the same, its results' widths known", decode["law_cycles"], decode["cycles"]),
        *(
            (kind.title, getattr(point.resources, kind.name), cells[kind.name])
            for kind in CELL_KINDS
        ),
    ]
    if figures.ratio is not None:
        name = "perplexity, times the uncompressed model's"
        rows.insert(0, (name, predicted_ratio(point.loss), figures.ratio))
    if (reached := cells.get("fmax_mhz")) is not None:
        name = f"clock, MHz, of which {engine_hz / 1e6:g} are needed"
        rows.append((name, point.resources.fmax_mhz, reached))
    return [{"what": what, "predicted": a, "measured": b, "off": _off(a, b)} for what, a, b in rows]


def _off(predicted: float | None, measured: float) -> float | None:
    if predicted is None:
        return None
    return predicted / measured - 1 if measured else 0.0


def write_trace(path: Path, trace: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write every engine that was evaluated, whole or not at all.

    Raises
    ------
    ExploreError
        If it cannot be written.
    """
    with written_whole(path) as file:
        np.savez_compressed(file, allow_pickle=False, **dict(trace))
