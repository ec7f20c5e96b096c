"""Reports that commands end with."""

import importlib.util
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from summand.isa.distribution import VERSION, install_command

if TYPE_CHECKING:
    from summand.model import Manifest
    from summand.report import BaselineFigures, ModelFigures, TextFigures

__all__ = ["compared_lines", "figures_of", "made_by", "publish"]


def made_by(date: str) -> str:
    """Return version, date and command line, for the foot of a page."""
    return f"Summand {VERSION}, {date}: {shlex.join(['summand', *sys.argv[1:]])}"


def compared_lines(table: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each figure of a chosen point, prediction beside measurement."""
    from summand.report.measured import compared_rows

    for what, predicted, measured, off in compared_rows(table):
        yield f"  {what}: predicted {predicted}, measured {measured} ({off})"


def figures_of(manifest: "Manifest") -> "ModelFigures | None":
    """Count what a model streams; None where no engine could run it."""
    from summand.report import ModelFigures
    from summand.schedule.errors import CompileError

    try:
        return ModelFigures.of(manifest)
    except CompileError:
        return None


def publish(
    name: str,
    figures: "ModelFigures",
    path: Path,
    *,
    asked: bool = False,
    texts: "Sequence[TextFigures]" = (),
    baselines: "Sequence[BaselineFigures]" = (),
) -> str:
    """Write an HTML report, if matplotlib is installed; returns a line on it for the user.

    Raises
    ------
    ReportError
        If the file cannot be written and the user ``asked`` for it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return f"No report: it needs matplotlib; {install_command('plots')}"
    from summand.report import Report, ReportError, write_page

    report = Report(name=name, model=figures, texts=tuple(texts), baselines=tuple(baselines))
    try:
        write_page(report, path)
    except ReportError as e:
        if asked:
            raise
        return f"No report: {e}"
    return f"Report in {path}"
