"""Arguments and options that several commands have: a model, a board, a calibration text."""

from pathlib import Path
from typing import Annotated

import typer

from summand.explore.features import FEATURES, features_named

__all__ = [
    "ALL_FEATURES",
    "CalibrationOption",
    "CalibrationTokensOption",
    "FeaturesOption",
    "MadeBoardOption",
    "MaxKlOption",
    "MaxLutOption",
    "RouteOption",
    "SourceArgument",
]

#: Their letters.
ALL_FEATURES = "".join(feature.letter for feature in FEATURES)

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


def _known(letters: str) -> str:
    """Refuse letters of no feature."""
    features_named(letters)
    return letters


FeaturesOption = Annotated[
    str,
    typer.Option(
        metavar="LETTERS",
        help=f"What engines may have, and so what layers may get: "
        f"{', '.join(map(str, FEATURES))}. Fewer are searched sooner.",
        callback=_known,
    ),
]
MaxKlOption = Annotated[float, typer.Option(help="Loss at most, in nats a token, as estimated.")]
MaxLutOption = Annotated[
    int | None, typer.Option(help="Look-up tables at most; the FPGA's without.", min=1)
]
RouteOption = Annotated[
    bool,
    typer.Option(
        "--route",
        help="Place and route the chosen engine when it is measured, and so measure its clock; "
        "takes from minutes to an hour.",
    ),
]
