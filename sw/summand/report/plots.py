"""Plots as SVG text; equal figures give equal bytes."""

import io
import re
from typing import TYPE_CHECKING, Any

from summand.model import Manifest
from summand.report.figures import Report
from summand.runtime.program import role_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["baselines_plot", "layers_plot", "svg"]

_STYLE: Any = {"svg.hashsalt": "summand", "svg.fonttype": "none", "font.size": 9}


def layers_plot(manifest: Manifest) -> str:
    """Return bits, errors and the running total of every layer, in call order, as SVG.

    Parts of a layer stand above each other.
    """
    layers = manifest.layers
    names = [manifest.whole(e.name) for e in layers]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    places = [numbers[name] for name in names]
    roles = list(dict.fromkeys(role_of(name) for name in names))

    def draw(figure: "Figure") -> None:
        bits, errors, total = figure.subplots(3, 1, sharex=True)
        for i, role in enumerate(roles):
            mine = [j for j, name in enumerate(names) if role_of(name) == role]
            each = [layers[j].bits / layers[j].weights for j in mine]
            bits.scatter([places[j] for j in mine], each, s=10, color=f"C{i % 10}", label=role)
            known = [(places[j], layers[j].error) for j in mine]
            points = [(p, 100 * e) for p, e in known if e is not None]
            errors.scatter(*zip(*points, strict=True), s=10, color=f"C{i % 10}") if points else None
        bits.set_ylabel("bits a weight")
        errors.set_ylabel("output error, %")
        errors.set_ylim(bottom=0)
        sums, running = 0, []
        for e in layers:
            sums += e.bits
            running.append(sums / 8e6)
        total.step(places, running, where="post", color="0.3")
        total.set_ylabel("megabytes, running total")
        total.set_xlabel("layer, in call order")
        figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)

    return svg(draw, 7.5, 7.5)


def baselines_plot(report: Report) -> str:
    """Return the distance of model and baselines from the uncompressed model, as SVG."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots(1, len(report.texts), squeeze=False)[0]
        for i, (axis, text) in enumerate(zip(axes, report.texts, strict=True)):
            rows = [("this model", text.distance)]
            rows += [(b.name, b.texts[i].distance) for b in report.baselines]
            known = [(name, far) for name, far in reversed(rows) if far is not None]
            colours = ["C0" if name == "this model" else "0.6" for name, _ in known]
            bars = axis.barh([n for n, _ in known], [far for _, far in known], color=colours)
            axis.bar_label(bars, fmt="%.3g", padding=2)
            axis.margins(x=0.2)
            axis.set_xlabel(text.DISTANCE)
            axis.set_title(text.text, fontsize=8, loc="left", wrap=True)
            if i:
                axis.set_yticklabels([])

    return svg(draw, 7.5, 1.2 + 0.35 * (1 + len(report.baselines)))


def svg(draw: Any, width: float, height: float) -> str:
    """Return what ``draw`` puts on a figure of so many inches."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    # Within an HTML page, an SVG element needs neither an XML prologue nor metadata.
    text = out.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
