"""An exploration as one page: what was chosen, what else there is, and how it is known."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from summand.report.measured import (
    compared_rows,
    measured_heads,
    measured_points,
    measured_rows,
)
from summand.report.page import html_page, html_table, html_text
from summand.report.plots import svg
from summand.report.texts import text_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["explored_markdown", "explored_page"]

_Record = Mapping[str, Any]

_HEADS = (
    *("time, s, projected", "tokens/s, projected", "loss, predicted", "perplexity, predicted"),
    *("bits, modelled", "LUT, modelled", "engine", "with"),
)

_FEATURES = """<p>The quickest point within the limits, for engines with different features. Where a
feature does not make it quicker, the search found no use for it here.</p>"""
_ROOFLINE = """<p>Each group of layers, by the cost law. The slope is the stream's width; the level
is what the array multiplies in a cycle by weights of 1 bit.</p>"""


def explored_page(record: _Record) -> str:
    """Return the page of an exploration's record; equal records give equal bytes."""
    title = f"{record['model']} on {record['board']}"
    workload, limits = record["workload"], record["limits"]
    allowed = ", ".join(record["allowed"].values()) or "none"
    body = [
        f"<h1>{html_text(title)}</h1>",
        _headline(record),
        "<p>"
        + html_text(
            f"A prompt of {workload['prefill']:,} tokens and {workload['decode']:,} tokens behind "
            f"it, {workload['batch']} text(s) at a time; linear layers, memory and link counted, "
            f"the host's attention not. At most {limits['kl']:g} nats a token lost, as estimated. "
            f"{record['engines']:,} engines with {record['points']:,} allocations were evaluated. "
            f"Features that they might have: {allowed}."
        )
        + "</p>",
        *(_measured(record["measured"]) if record.get("measured") else ()),
        "<h2>Time and accuracy</h2>",
        _front_plot(record),
        *_made(record),
        "<h3>All points of the front</h3>",
        _points(record["front"], record["chosen"]),
        "<h2>What features of the engine are worth</h2>",
        _FEATURES,
        _features(record["features"], record["own"], record["chosen"]),
        "<h2>Time and size</h2>",
        _size_plot(record),
        "<h2>What each layer gets</h2>",
        _map_plot(record),
        "<h2>Roofline</h2>",
        _ROOFLINE,
        _roofline_plot(record),
        f'<p class="source">{html_text(record["made"])}</p>',
    ]
    return html_page(title, body)


def explored_markdown(record: _Record) -> str:
    """Return the front as a table in Markdown, below it the chosen point and what was measured."""
    chosen = zip(_HEADS, _row(record["chosen"]), strict=True)
    said = "; ".join(f"{head}: {cell}" for head, cell in chosen if cell)
    lines = [*_markdown(_HEADS, map(_row, record["front"])), "", f"Chosen: {said}.", ""]
    if points := measured_points(record):
        lines += [*_markdown(measured_heads(points), measured_rows(points)), ""]
    return "\n".join([*lines, record["made"], ""])


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, ("---",) * len(heads), *rows)]


def _headline(record: _Record) -> str:
    chosen = record["chosen"]
    projected, share = chosen["projected"], chosen["modelled"]["luts"] / record["available"]["luts"]
    figures = [
        (f"{projected['total_s']:.3g} s", "for the workload, projected"),
        (f"{chosen['perplexity_ratio']:.3f} x", "the uncompressed perplexity, predicted"),
        (f"{chosen['bits_per_weight']:.2f}", "bits a weight, everything streamed, modelled"),
        (f"{share:.0%}", f"of {record['part']}'s look-up tables, modelled"),
    ]
    if projected["tokens_s"]:
        figures.insert(1, (f"{projected['tokens_s']:.3g}", "tokens a second, projected"))
    cells = (f"<div><b>{html_text(a)}</b>{html_text(b)}</div>" for a, b in figures)
    return f'<div class="figures">{"".join(cells)}</div>'


def _measured(measured: _Record) -> list[str]:
    equal = all(phase["law_equal"] for phase in measured["cycles"]["phases"])
    law = "equal in every counter" if equal else "DIFFERENT"
    note = f"Cost law and generated Verilog are {law}; cells are {measured['cells']['source']}."
    return [
        "<h2>Prediction and measurement</h2>",
        html_table(
            ("", "predicted", "measured", "prediction off by"), compared_rows(measured["table"])
        ),
        f"<p>{html_text(note)}</p>",
    ]


def _made(record: _Record) -> list[str]:
    """Return the points that were measured as a table, if there are any."""
    points = measured_points(record)
    if not points:
        return []
    own = next((i for i, point in enumerate(points) if point is record["chosen"]), None)
    return [
        "<h3>Points that were made</h3>",
        html_table(measured_heads(points), measured_rows(points), own),
    ]


def _points(points: Sequence[_Record], chosen: _Record) -> str:
    own = None
    rows = []
    for i, point in enumerate(points):
        if (point["digest"], point["loss"]) == (chosen["digest"], chosen["loss"]):
            own = i
        rows.append(_row(point))
    return html_table(_HEADS, rows, own)


def _row(point: _Record) -> tuple[str, ...]:
    engine, projected = point["engine"], point["projected"]
    return (
        f"{projected['total_s']:.4g}",
        f"{projected['tokens_s']:.3g}" if projected["tokens_s"] else "",
        f"{point['loss']:.4f}",
        f"{point['perplexity_ratio']:.3f}",
        f"{point['bits_per_weight']:.2f}",
        f"{point['modelled']['luts']:,}",
        f"{engine['rows']} x {engine['cols']} x {engine['depth']}, {engine['stream_bits']} bits",
        ", ".join(point["with"].values()),
    )


def _features(points: Sequence[_Record], own: _Record | None, chosen: _Record) -> str:
    named = [*points, {**chosen, "features": "chosen: the smallest within 1 %"}]
    named += [{**own, "features": "the engine of the board's file"}] if own else []
    ordered = sorted(named, key=lambda point: point["projected"]["total_s"])
    least = ordered[0]["projected"]["total_s"]
    rows = [
        (
            point["features"],
            f"{point['projected']['total_s']:.4g}",
            f"{point['projected']['total_s'] / least:.3f}",
            f"{point['bits_per_weight']:.2f}",
            f"{point['modelled']['luts']:,}",
        )
        for point in ordered
    ]
    return html_table(("features", "time, s", "of the least", "bits", "LUT"), rows)


def _front_plot(record: _Record) -> str:
    front, chosen = record["front"], record["chosen"]
    figures = [
        (p["projected"]["total_s"], text_figures(p["measured"]["figures"]).ratio)
        for p in measured_points(record)
    ]
    made = [(time, ratio) for time, ratio in figures if ratio]

    def draw(figure: "Figure") -> None:
        axis = figure.subplots()
        axis.plot(
            [p["projected"]["total_s"] for p in front],
            [p["perplexity_ratio"] for p in front],
            marker="o",
            markersize=3,
            label="front, predicted",
        )
        axis.plot(
            chosen["projected"]["total_s"],
            chosen["perplexity_ratio"],
            "D",
            label="chosen, predicted",
        )
        if made:
            axis.plot(*zip(*made, strict=True), "x", color="C3", label="measured")
        axis.set(
            xlabel="time of the workload, s, projected",
            ylabel="perplexity, multiple of the uncompressed",
            yscale="log",
        )
        axis.legend(frameon=False)
        axis.grid(alpha=0.3)

    return svg(draw, 7.5, 4)


def _size_plot(record: _Record) -> str:
    small, chosen = record["small"], record["chosen"]

    def draw(figure: "Figure") -> None:
        axis = figure.subplots()
        axis.plot(
            [p["modelled"]["luts"] for p in small],
            [p["projected"]["total_s"] for p in small],
            marker="o",
            markersize=3,
        )
        axis.plot(chosen["modelled"]["luts"], chosen["projected"]["total_s"], "D", label="chosen")
        axis.set(xlabel="look-up tables, modelled", ylabel="time of the workload, s, projected")
        axis.set(xscale="log", yscale="log")
        axis.legend(frameon=False)
        axis.grid(alpha=0.3, which="both")

    return svg(draw, 7.5, 4)


def _map_plot(record: _Record) -> str:
    """Draw bits a weight of each layer: its kind across, its block down."""
    cells: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for group in record["layers"]:
        for layer in group["layers"]:
            numbers = re.findall(r"\.(\d+)\.", layer["name"])
            role = re.sub(r"\.\d+$", "", layer["name"]).rpartition(".")[2]
            weights = layer["in_features"] * layer["out_features"]
            place = role, int(numbers[0]) if numbers else 0
            cells.setdefault(place, []).append((layer["bits"], weights))
    roles = list(dict.fromkeys(role for role, _ in cells))
    blocks = max(block for _, block in cells) + 1

    def draw(figure: "Figure") -> None:
        axis = figure.subplots()
        table = [[float("nan")] * blocks for _ in roles]
        for (role, block), parts in cells.items():
            total = sum(weights for _, weights in parts)
            table[roles.index(role)][block] = sum(bits * w for bits, w in parts) / total
        image = axis.imshow(table, aspect="auto", cmap="viridis")
        axis.set_yticks(range(len(roles)), roles)
        axis.set_xlabel("block")
        figure.colorbar(image, label="bits a weight, modelled")

    return svg(draw, 7.5, 0.8 + 0.35 * len(roles))


def _roofline_plot(record: _Record) -> str:
    engine = record["chosen"]["engine"]
    array = engine["rows"] * engine["cols"] * engine["depth"]

    def draw(figure: "Figure") -> None:
        axis = figure.subplots()
        for colour, phase in enumerate(("decode", "prefill")):
            groups = [g for g in record["layers"] if g[phase]["cycles"]]
            macs = [g["macs"] * g[phase]["tokens"] for g in groups]
            axis.scatter(
                [m / g[phase]["bytes"] for m, g in zip(macs, groups, strict=True)],
                [m / g[phase]["cycles"] for m, g in zip(macs, groups, strict=True)],
                s=8,
                color=f"C{colour}",
                label=phase,
            )
        low, high = axis.get_xlim()
        reach = [max(low, 0.1), max(high, 1)]
        slope = engine["stream_bits"] / 8
        axis.plot(reach, [slope * x for x in reach], color="0.5", label="stream")
        axis.axhline(array, color="0.7", linestyle="--", label="1-bit weights, all rows")
        axis.set(xscale="log", yscale="log", xlabel="multiplications a byte streamed")
        axis.set_ylabel("multiplications a cycle, modelled")
        axis.legend(frameon=False)
        axis.grid(alpha=0.3, which="both")

    return svg(draw, 7.5, 4)
