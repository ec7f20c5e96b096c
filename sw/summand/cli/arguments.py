"""Arguments and options that several commands have: a model, a board, a calibration text."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["CalibrationOption", "CalibrationTokensOption", "MadeBoardOption", "SourceArgument"]

SourceArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="What summand compress takes: smollm2, ...")
]
MadeBoardOption = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="The board, such as ulx3s-85f, or a TOML file.")
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Text to calibrate on; without it, text that comes with Python."
    ),
]
CalibrationTokensOption = Annotated[int, typer.Option(help="Tokens of it to read, at most.", min=2)]
