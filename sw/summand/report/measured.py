"""The points of an exploration that were made and evaluated, prediction beside measurement."""

from collections.abc import Mapping, Sequence
from typing import Any

from summand.report.texts import text_figures

__all__ = ["measured_heads", "measured_points", "measured_rows"]

_Record = Mapping[str, Any]


def measured_points(record: _Record) -> list[_Record]:
    """Return the points of an exploration's record that were measured, the quickest first."""
    chosen = record["chosen"]
    points = [p for p in record["front"] if not _same(p, chosen)]
    there = [p for p in (*points, chosen) if p["measured"]]
    return sorted(there, key=lambda point: point["projected"]["total_s"])


def measured_heads(points: Sequence[_Record]) -> tuple[str, ...]:
    """Return the heads of :func:`measured_rows`; there is a point."""
    return (
        *("time, s, projected", "cycles a pass, modelled", "bits, modelled", "loss, predicted"),
        f"{_figures(points[0]).DISTANCE}, measured",
        *("perplexity, predicted", "perplexity, measured", "prediction off by"),
    )


def measured_rows(points: Sequence[_Record]) -> list[tuple[str, ...]]:
    """Return a row for each point; perplexities are multiples of the uncompressed model's."""
    rows = []
    for point in points:
        figures, predicted = _figures(point), point["perplexity_ratio"]
        ratio = figures.ratio
        rows.append(
            (
                f"{point['projected']['total_s']:.4g}",
                f"{point['cycles']['decode']:,}",
                f"{point['bits_per_weight']:.2f}",
                f"{point['loss']:.4f}",
                f"{figures.distance:.4f}",
                f"{predicted:.3f}",
                f"{ratio:.3f}" if ratio else "",
                f"{predicted / ratio - 1:+.1%}" if ratio else "",
            )
        )
    return rows


def _figures(point: _Record) -> Any:
    return text_figures(point["measured"]["figures"])


def _same(a: _Record, b: _Record) -> bool:
    return (a["digest"], a["loss"]) == (b["digest"], b["loss"])
