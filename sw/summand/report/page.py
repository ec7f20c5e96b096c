"""A report as one self-contained HTML page."""

import html
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from summand.isa import SummandError
from summand.report.figures import Report
from summand.report.plots import baselines_plot, layers_plot

__all__ = [
    "ReportError",
    "html_page",
    "html_table",
    "html_text",
    "page",
    "write_page",
    "write_text",
]

#: Readable on a phone, and in dark mode; plots keep a light ground, which their colours are for.
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; }
th, td { padding: 0.15em 0.8em 0.15em 0; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid; font-weight: 600; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
tr.own td { font-weight: 600; }
table { display: block; overflow-x: auto; max-width: 100%; }
svg { max-width: 100%; height: auto; background: #fff; color-scheme: light; }
.figures { display: flex; flex-wrap: wrap; gap: 0.6em 2.2em; margin: 1em 0; }
.figures b { display: block; font-size: 1.7em; line-height: 1.2; }
.source { opacity: 0.65; font-size: 85%; }
pre { overflow: auto; font-size: 85%; }
"""


class ReportError(SummandError):
    """A report that cannot be written."""


def page(report: Report) -> str:
    """Return the page; equal reports give equal bytes."""
    body = [
        f"<h1>{html_text(report.name)}</h1>",
        _summary(report),
        *(_results(report) if report.texts else ()),
        "<h2>What one token streams</h2>",
        _traffic(report),
        "<h2>Layers</h2>",
        layers_plot(report.model.manifest),
        "<details><summary>All layers</summary>",
        _layers(report),
        "</details>",
        "<details><summary>Options</summary><pre>",
        html_text(json.dumps(dict(report.model.manifest.options), indent=1)),
        "</pre></details>",
    ]
    return html_page(report.name, body)


def html_page(title: str, body: Iterable[str]) -> str:
    """Return a whole page of these elements."""
    head = (
        f'<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{html_text(title)}</title><style>{_STYLE}</style></head>'
    )
    whole = ["<!DOCTYPE html>", '<html lang="en">', head, "<body>", *body, "</body>", "</html>"]
    return "\n".join([*whole, ""])


def write_page(report: Report, path: Path) -> None:
    """Write the page, whole or not at all; raises :class:`ReportError` if it cannot be written."""
    write_text(page(report), path)


def write_text(text: str, path: Path) -> None:
    """Write a page's text, whole or not at all.

    Raises
    ------
    ReportError
        If the file cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as e:
        raise ReportError(f"cannot write the report {path}: {e.strerror}") from None


def html_text(value: str) -> str:
    """Return text as HTML holds it."""
    return html.escape(value)


def html_table(heads: Sequence[str], rows: Iterable[Sequence[str]], own: int | None = None) -> str:
    """Return a table; ``own`` is the row to emphasise."""
    cells = "".join(f"<th>{html_text(head)}</th>" for head in heads)
    out = [f"<table><tr>{cells}</tr>"]
    for i, row in enumerate(rows):
        kind = ' class="own"' if i == own else ""
        out.append(f"<tr{kind}>{''.join(f'<td>{html_text(cell)}</td>' for cell in row)}</tr>")
    return "".join([*out, "</table>"])


def _summary(report: Report) -> str:
    model = report.model
    rows = [
        ("weights", f"{model.weights / 1e6:.1f} million in {len(model.layers)} layers"),
        ("bits a weight, everything streamed", f"{model.streamed_bits_per_weight:.3f}"),
        ("bits a weight, without padding and headers", f"{model.bits_per_weight:.3f}"),
        ("megabytes a token", f"{model.traffic.weights / 8e6:.2f}"),
    ]
    source = model.manifest.source
    rows.append(("compressed from", str(source.get("path", source.get("kind", "?")))))
    if done := model.manifest.options.get("distillation"):
        kept = f"scales of step {done['kept']} kept" if done["kept"] else "none better than before"
        rows.append(("distillation", f"{done['steps']} steps, {kept}"))
        where = f"KL divergence on {done['tokens']:,} tokens of calibration text held out from it"
        rows.append((where, f"{done['kl_before']:.4f} before, {done['kl_after']:.4f} after"))
    return html_table(("", ""), rows)


def _results(report: Report) -> list[str]:
    out = ["<h2>On text that calibration has not seen</h2>"]
    bits = report.model.streamed_bits_per_weight
    for i, text in enumerate(report.texts):
        names = text.cells()
        rows = []
        if known := text.uncompressed():
            rows.append(("full precision", "", *(known.get(name, "") for name in names)))
        own = len(rows)
        rows.append(("this model", f"{bits:.3f}", *names.values()))
        rows += [
            (b.name, f"{b.streamed_bits_per_weight:.3f}", *b.texts[i].cells().values())
            for b in report.baselines
        ]
        out.append(f"<h3>{html_text(text.text)}, {text.size}</h3>")
        out.append(html_table(("", "bits streamed", *names), rows, own))
    if report.baselines:
        out.append(baselines_plot(report))
    return out


def _traffic(report: Report) -> str:
    model = report.model
    parts = {
        "bit-planes of direct summands": model.traffic.planes,
        "scales of groups": model.traffic.scales,
        "low-rank factors": model.traffic.factors,
        "requantisation parameters": model.traffic.requantisations,
        "command headers and segment tables": model.traffic.headers,
        "all of these": model.traffic.weights,
        "activations, besides": model.traffic.activations,
    }
    rows = [(name, f"{bits // 8:,}", f"{bits / model.weights:.4f}") for name, bits in parts.items()]
    e = model.engine
    note = (
        f"Counted as sent to an engine of {e.cols} columns of depth {e.depth} behind a stream of "
        f"{e.stream_bits} bits, zeros that fill up beats, slices and tiles included."
    )
    return html_table(("", "bytes", "bits a weight"), rows) + f"<p>{html_text(note)}</p>"


def _layers(report: Report) -> str:
    heads = ("layer", "K", "N", "summands", "bits a weight", "output error")
    rows = []
    for e in report.model.layers:
        error = "" if e.error is None else f"{100 * e.error:.2f} %"
        sizes = (str(e.in_features), str(e.out_features))
        rows.append((e.name, *sizes, e.label, f"{e.bits / e.weights:.3f}", error))
    return html_table(heads, rows)
