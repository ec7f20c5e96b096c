"""What compression did: figures, baselines at equal bits, and a page of both."""

from summand.report.baselines import METHODS, Baselines
from summand.report.figures import BaselineFigures, ModelFigures, Report, TextFigures
from summand.report.page import ReportError, page, write_page

__all__ = [
    "METHODS",
    "BaselineFigures",
    "Baselines",
    "ModelFigures",
    "Report",
    "ReportError",
    "TextFigures",
    "page",
    "write_page",
]
