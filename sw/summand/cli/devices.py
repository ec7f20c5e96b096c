"""Options that choose what computes: a device, and the engine that it has."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from summand.isa import EngineConfig, SummandError

if TYPE_CHECKING:
    from rich.console import Console

    from summand.runtime import Driver

__all__ = ["LARGEST_SEED", "BoardOption", "ConfigOption", "DeviceOption", "Target"]

#: What all generators of random numbers take.
LARGEST_SEED = (1 << 63) - 1

DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="golden|sim|serial:PORT",
        help="golden: NumPy, no RTL; sim: the generated Verilog in the native simulator; "
        "serial:PORT: the board at a serial port, named by --board.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The engine's configuration, a JSON file; without it --board's, or SmolLM2's.",
    ),
]
BoardOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A board, such as ulx3s-85f: its engine and serial rate."),
]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A device to be opened.

    Parameters
    ----------
    device : str
        Its name, as :func:`~summand.runtime.open_device` knows it.
    engine : EngineConfig
        The engine's.
    baud : int or None
        Bits a second on the board's serial line.
    """

    device: str
    engine: EngineConfig
    baud: int | None

    @classmethod
    def choose(cls, device: str, config: Path | None, board: str | None) -> "Target":
        """Return what the options mean.

        The engine is that of ``config``, else of ``board``, else the default. A serial port needs
        ``board``.
        """
        from summand.boards.board import BOARDS, find_board
        from summand.runtime import DEFAULT_CONFIG

        found = find_board(board) if board else None
        if found is None and device.startswith("serial:"):
            raise SummandError(
                f"which board is at {device}? Give --board NAME ({', '.join(sorted(BOARDS))}), "
                f"and --config FILE if it was built with another engine than the board's own"
            )
        default = found.engine if found else DEFAULT_CONFIG
        engine = EngineConfig.load(config) if config else default
        return cls(device=device, engine=engine, baud=found.baud if found else None)

    def open(self, console: "Console", *, stall: float = 0.0, seed: int = 0) -> "Driver":
        """Return a driver of the device; what takes seconds is shown on ``console``."""
        from summand.runtime import Driver, open_device

        with console.status(f"Opening the device {self.device}") as status:
            return Driver(
                open_device(
                    self.device,
                    self.engine,
                    baud=self.baud,
                    stall=stall,
                    seed=seed,
                    progress=status.update,
                )
            )
