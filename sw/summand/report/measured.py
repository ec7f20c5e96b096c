"""What was predicted of an exploration's points, beside what was measured of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from summand.report.texts import text_figures

__all__ = ["compared_rows", "measured_heads", "measured_points", "measured_rows"]

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


def compared_rows(table: Sequence[_Record]) -> list[tuple[str, str, str, str]]:
    """Return what was compared of a chosen point, both figures, and how far off they are.

    Counts are told whole; their difference is, where a share of it would be rounded to nothing.
    """
    rows = []
    for entry in table:
        predicted, measured, share = entry["predicted"], entry["measured"], entry["off"]
        if predicted is None:
            rows.append((entry["what"], "none", _figure(measured), "no model"))
            continue
        counts = isinstance(predicted, int) and isinstance(measured, int)
        if predicted == measured:
            off = "equal"
        elif counts and abs(share) < 0.0005:
            off = f"{predicted - measured:+,}"
        else:
            off = f"{share:+.1%}"
        rows.append((entry["what"], _figure(predicted), _figure(measured), off))
    return rows


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def _figures(point: _Record) -> Any:
    return text_figures(point["measured"]["figures"])


def _same(a: _Record, b: _Record) -> bool:
    return (a["digest"], a["loss"]) == (b["digest"], b["loss"])
