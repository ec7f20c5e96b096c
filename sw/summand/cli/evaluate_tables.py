"""Tables that ``summand evaluate`` prints: figures of a model and of published methods."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from summand.report import BaselineFigures, ModelFigures, TextFigures

__all__ = ["show_baselines", "show_figures"]


def show_figures(
    model: str,
    bits_per_weight: float | None,
    figures: "ModelFigures | None",
    found: "Sequence[tuple[TextFigures, float]]",
    console: "Console",
) -> None:
    """Print the figures on each text, the seconds that they took, and what the model streams."""
    from rich.table import Table

    texts = [text for text, _ in found]
    table = Table(title=model, title_justify="left", show_header=False)
    table.add_column()
    for _ in texts:
        table.add_column(justify="right")
    table.add_row("text", *(t.text for t in texts))
    table.add_row("read", *(t.size for t in texts))
    if bits_per_weight is not None:
        table.add_row("bits per weight", f"{bits_per_weight:.3f}")
    if figures is not None:
        table.add_row("and all that is streamed", f"{figures.streamed_bits_per_weight:.3f}")
    for name, first in texts[0].cells().items():
        if first:
            table.add_row(name, *(t.cells()[name] for t in texts))
        if name in texts[0].uncompressed():
            table.add_row(f"{name}, uncompressed", *(t.uncompressed()[name] for t in texts))
    table.add_row("seconds", *(f"{seconds:.1f}" for _, seconds in found))
    console.print(table)


def show_baselines(
    texts: "Sequence[TextFigures]", baselines: "Sequence[BaselineFigures]", console: "Console"
) -> None:
    """Print the figures of each method, text by text."""
    from rich.table import Table

    for i, text in enumerate(texts):
        title = f"Published methods at as many bits\n{text.text}"
        table = Table(title=title, title_justify="left")
        table.add_column("method")
        for name in ("bits per weight", *text.cells()):
            table.add_column(name, justify="right")
        for b in baselines:
            table.add_row(b.name, f"{b.bits_per_weight:.3f}", *b.texts[i].cells().values())
        console.print(table)
