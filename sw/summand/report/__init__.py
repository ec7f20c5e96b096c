"""The results of compression: figures, baselines at equal bits, and a page of both."""

from summand.report.baselines import METHODS, Baselines
from summand.report.figures import BaselineFigures, ModelFigures, Report
from summand.report.page import ReportError, page, write_page
from summand.report.texts import EmbeddingFigures, TextFigures, TokenFigures, read

__all__ = [
    "METHODS",
    "BaselineFigures",
    "Baselines",
    "EmbeddingFigures",
    "ModelFigures",
    "Report",
    "ReportError",
    "TextFigures",
    "TokenFigures",
    "page",
    "read",
    "write_page",
]
