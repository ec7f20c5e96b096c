"""Options that choose a device and the engine that it has."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from summand.isa import EngineConfig, SummandError

if TYPE_CHECKING:
    from rich.console import Console

    from summand.boards.board import Board
    from summand.model import Manifest
    from summand.runtime import Driver, Program

__all__ = [
    "LARGEST_SEED",
    "BoardOption",
    "ConfigOption",
    "DeviceChoice",
    "DeviceOption",
    "MemoryOption",
]

#: The largest seed that all generators of random numbers accept.
LARGEST_SEED = (1 << 63) - 1

#: Words of an operand memory where no engine is named.
_OPERAND_DEPTH = 4096

DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="golden|sim|serial:PORT|udp:HOST[:PORT]|pynq:FILE|xdma:NAME",
        help="golden: NumPy, no RTL; sim: the generated Verilog in the native simulator; "
        "serial:PORT: the board at a serial port, named by --board; udp:HOST[:PORT]: the board at "
        "an address, with the engine of --board or --config; pynq:FILE: a bitstream with a stock "
        "AXI DMA, on the chip that this runs on; xdma:NAME: a PCIe card behind Xilinx's XDMA, such "
        "as xdma:/dev/xdma0, with the engine of --board or --config.",
    ),
]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="The engine's configuration: one of Summand's, such as smollm2, or a JSON file; "
        "without it --board's, or smollm2 with what the model needs besides.",
    ),
]
BoardOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A board, such as ulx3s-85f, or a TOML file: its engine and serial rate.",
    ),
]
MemoryOption = Annotated[
    int,
    typer.Option(
        metavar="MIB",
        min=0,
        max=1 << 20,
        help="Give a golden or simulated engine a memory of so many MiB: it holds the weights, and "
        "the stream brings the rest. Of an engine on a card, the --memory that it was generated "
        "with. A board says itself what it has.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class DeviceChoice:
    """A device to be opened.

    Parameters
    ----------
    device : str
        Its name, as :func:`~summand.runtime.open_device` knows it.
    engine : EngineConfig
        The engine's.
    board : Board or None
        Where it is, if a board was named.
    memory_mib : int
        MiB of a memory for weights that a golden or simulated engine is given, or that a card's
        engine was generated with; 0: none.
    note : str or None
        A line for the user, if the engine is none that has a name.
    """

    device: str
    engine: EngineConfig
    board: "Board | None"
    memory_mib: int = 0
    note: str | None = None

    @classmethod
    def choose(
        cls,
        device: str,
        config: str | None,
        board: str | None,
        manifest: "Manifest | None" = None,
        *,
        memory: int = 0,
        operand: bool = False,
    ) -> "DeviceChoice":
        """Return the device and engine that the options name.

        The engine is that of ``config``, else of ``board``, else the default, with what the model
        of ``manifest`` needs besides, and with ``operand`` an operand memory. A serial port needs
        ``board``, and an address or a card one of both; what is there says itself whether there is
        a ``memory``.
        """
        from summand.boards.configurations import find_configuration
        from summand.boards.library import find_board, packaged_boards
        from summand.model.engine import engine_of
        from summand.schedule.fit import DEFAULT_CONFIG

        found = find_board(board) if board else None
        if device.startswith("serial:"):
            if found is None:
                raise SummandError(
                    f"which board is at {device}? Give --board NAME|FILE "
                    f"({', '.join(packaged_boards())}), and --config if it was built with another "
                    f"engine than the board's own"
                )
            if found.link.baud is None:
                raise SummandError(
                    f"{found.name} has no serial line: its link is of kind {found.link.kind}"
                )
        if device.startswith(("udp:", "xdma:")) and found is None and config is None:
            raise SummandError(
                f"which engine is at {device}? Give --board NAME|FILE "
                f"({', '.join(packaged_boards())}), or --config NAME|FILE"
            )
        if memory and device.partition(":")[0] not in ("golden", "sim", "xdma"):
            raise SummandError(
                f"--memory is of golden, sim and xdma; the board at {device} says what it has"
            )
        note = None
        if config:
            engine = find_configuration(config).config
        elif found or manifest is None:
            engine = found.engine if found else DEFAULT_CONFIG
        else:
            engine = engine_of(manifest)
            if operand:
                engine = dataclasses.replace(engine, operand_depth=_OPERAND_DEPTH)
            note = _differences(engine)
        return cls(device=device, engine=engine, board=found, memory_mib=memory, note=note)

    @property
    def link(self) -> "Board | None":
        """The board whose link carries the stream; None for other devices, or if it is unknown."""
        kinds = {"serial": "uart", "udp": "ethernet", "xdma": "pcie"}
        kind = kinds.get(self.device.partition(":")[0])
        return self.board if self.board and self.board.link.kind == kind else None

    def pace(self, manifest: "Manifest") -> str | None:
        """Return a line on the time that a link takes for a token; None without a link."""
        if self.link is None:
            return None
        from summand.model.engine import model_traffic

        size, rate = model_traffic(manifest, self.engine).total // 8, self.link.link.bytes_s
        seconds = size / rate
        return (
            f"A token takes {seconds:,.{0 if seconds >= 100 else 2}f} s or more over this link: "
            f"{size:,} bytes at {rate / 1000:.0f} kB/s"
        )

    def held_pace(self, programs: "Iterable[Program]") -> str:
        """Return a line on what a token sends and takes where the device's memory has the weights.

        With a link it says how long that takes.
        """
        from summand.runtime.memory.traffic import LinkTraffic

        traffic = LinkTraffic.of(programs, 1)
        line = (
            f"The device's memory has the weights: a token sends {traffic.down:,} bytes, and "
            f"{traffic.up:,} come back"
        )
        if self.link is None:
            return line
        link = self.link.link
        seconds = traffic.seconds(link.bytes_s, link.round_trip_s)
        return f"{line}, in {seconds:,.2f} s or more over this link"

    def open(self, console: "Console", *, stall: float = 0.0, seed: int = 0) -> "Driver":
        """Return a driver of the device; ``console`` shows steps that take seconds."""
        from summand.runtime import Driver, open_device

        with console.status(f"Opening the device {self.device}") as status:
            return Driver(
                open_device(
                    self.device,
                    self.engine,
                    board=self.board,
                    memory_bytes=self.memory_mib << 20,
                    stall=stall,
                    seed=seed,
                    progress=status.update,
                )
            )


def _differences(engine: EngineConfig) -> str | None:
    """Return a line that says how an engine differs from the default one, if it does."""
    from summand.schedule.fit import DEFAULT_CONFIG

    fields = dataclasses.asdict(engine)
    usual = dataclasses.asdict(DEFAULT_CONFIG)
    if not (other := {name: value for name, value in fields.items() if value != usual[name]}):
        return None
    return f"The engine is the model's own: smollm2 with {json.dumps(other)}"
