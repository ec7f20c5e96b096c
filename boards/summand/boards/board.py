"""A board: FPGA, clock, memory, host's link, and the engine that goes on it."""

import importlib
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, InstanceOf
from pydantic.dataclasses import dataclass

from summand.boards.dram.record import BoardDram
from summand.boards.ethernet.record import BoardEthernet
from summand.boards.link.host import stream_rate
from summand.families.base import FpgaFamily
from summand.families.parts import FpgaChip
from summand.families.registry import find_family
from summand.families.toml import RECORD, Rate, Some, Text
from summand.isa import ConfigError, EngineConfig

__all__ = ["Board", "BoardClock", "BoardLink", "BoardMemory", "BoardTop", "VivadoProject"]

#: Platforms are taken from this package alone, so that a file cannot name other code to run.
_PLATFORMS = "amaranth_boards"


@dataclass(frozen=True, kw_only=True, config=RECORD)
class BoardClock:
    """A board's clocks.

    Parameters
    ----------
    oscillator_hz : int
        Frequency at the board's clock pin.
    engine_hz : int
        Frequency of the gateware's clock; a PLL makes it from the oscillator where they differ.
    source : str
        Why this clock.
    """

    oscillator_hz: Some
    engine_hz: Some
    source: Text


@dataclass(frozen=True, kw_only=True, config=RECORD)
class BoardMemory:
    """A board's main memory, for projections and, where it is given in full, for its controller.

    Parameters
    ----------
    kind : str
        Its kind and size, for people.
    bytes : int
        Its size.
    controller : str
        What reads it.
    peak_bytes_s : float
        Bytes a second at the interface that the controller gives, nothing subtracted.
    reached_bytes_s : float
        Bytes a second that linear reads reach.
    source : str
        How the figures are known.
    dram : BoardDram, optional
        The memory and its controller in full, where Summand makes one.
    """

    kind: Text
    bytes: Some
    controller: Text
    peak_bytes_s: Rate
    reached_bytes_s: Rate
    source: Text
    dram: BoardDram | None = None

    def __post_init__(self):
        for name in ("bytes", "peak_bytes_s") if self.dram else ():
            mine, its = getattr(self, name), getattr(self.dram, name)
            if mine != its:
                raise ConfigError(f"{name} ({mine:g}) must be what dram comes to, {its:g}")
        if self.reached_bytes_s > self.peak_bytes_s:
            raise ConfigError(
                f"reached_bytes_s ({self.reached_bytes_s:g}) must be at most peak_bytes_s "
                f"({self.peak_bytes_s:g})"
            )


@dataclass(frozen=True, kw_only=True, config=RECORD)
class BoardLink:
    """What joins a board to its host.

    Parameters
    ----------
    kind : str
        ``uart`` is what Summand drives; others are for projections.
    baud : int, optional
        A UART's bits a second.
    reached_bytes_s : float, optional
        Bytes of stream a second, one way; of a UART it follows from ``baud``.
    round_trip_s : float
        Seconds from a request of a few bytes to its answer.
    source : str
        How the figures are known.
    """

    kind: Literal["uart", "ethernet", "axi", "pcie"]
    baud: Some | None = None
    reached_bytes_s: Rate | None = None
    round_trip_s: Rate
    source: Text

    def __post_init__(self):
        if (self.kind == "uart") != (self.baud is not None):
            raise ConfigError(f"baud is of kind uart, and needed there; kind is {self.kind}")
        if (self.baud is None) == (self.reached_bytes_s is None):
            raise ConfigError("give reached_bytes_s, except of kind uart, where baud stands for it")

    @property
    def bytes_s(self) -> float:
        """Bytes of stream a second, one way."""
        return self.reached_bytes_s or stream_rate(self.baud or 0)


@dataclass(frozen=True, kw_only=True, config=RECORD)
class BoardTop:
    """How the engine's pins are found, where Summand makes the whole design.

    Parameters
    ----------
    platform : str
        ``amaranth_boards.MODULE:CLASS``, the Amaranth platform.
    clock : str
        Its resource that is the oscillator.
    uart : str
        The serial line, of direction-giving members ``rx`` and ``tx``.
    reset : str, optional
        A button that resets everything, if there is one.
    loader : str
        The options with which openFPGALoader finds the board.
    """

    platform: Text
    clock: Text
    uart: Text = "uart"
    reset: Text | None = None
    loader: Text

    def __post_init__(self):
        if not re.fullmatch(rf"{_PLATFORMS}\.\w+:\w+", self.platform):
            raise ConfigError(
                f"platform must be {_PLATFORMS}.MODULE:CLASS, not {self.platform!r}; a board that "
                f"has none there takes generated Verilog in a design of one's own"
            )


@dataclass(frozen=True, kw_only=True, config=RECORD)
class VivadoProject:
    """How Vivado makes a design of an engine and the processor system on the same chip.

    Parameters
    ----------
    part : str
        The FPGA, as Vivado calls it.
    board_part : str
        The board, as Vivado calls it where its board files are installed; ``*`` stands for
        anything. These files have the settings of the processor's memory.
    processor : str
        Which processor system is on the chip.
    """

    part: Text
    board_part: Text
    processor: Literal["zynq-7000", "zynq-ultrascale+"]

    def __post_init__(self):
        for name, value in (("part", self.part), ("board_part", self.board_part)):
            # They stand in a script, which is not to do anything else.
            if not re.fullmatch(r"[\w.:*-]+", value, re.ASCII):
                raise ConfigError(
                    f"{name} must be a name of Vivado's, of letters, digits and ._:*- only, not "
                    f"{value!r}"
                )


@dataclass(frozen=True, kw_only=True, config=RECORD)
class Board:
    """A board, and what Summand puts on it.

    Parameters
    ----------
    name : str
        As the command line knows it.
    title : str
        As people know it.
    chip : FpgaChip
        The FPGA, its package and its speed grade.
    clock : BoardClock
        Clocks.
    memory : BoardMemory
        Main memory; it holds the weights in designs that are made with it.
    link : BoardLink
        Where the host is.
    engine : EngineConfig
        An engine that fits, with room for a memory controller.
    top : BoardTop, optional
        Where clock, serial line and reset are; without it there is no design for the board.
    ethernet : BoardEthernet, optional
        The transceiver of a design whose link is UDP, and the board's addresses.
    vivado : VivadoProject, optional
        Part and processor system; without it there is no block design for the board.
    """

    name: Text
    title: Text
    chip: FpgaChip
    clock: BoardClock
    memory: BoardMemory
    link: BoardLink
    engine: Annotated[
        InstanceOf[EngineConfig],
        BeforeValidator(lambda v: EngineConfig.from_dict(v) if isinstance(v, dict) else v),
    ]
    top: BoardTop | None = None
    ethernet: BoardEthernet | None = None
    vivado: VivadoProject | None = None

    def __post_init__(self):
        find_family(self.chip.part.family)

    @property
    def family(self) -> FpgaFamily:
        """The FPGA's family."""
        return find_family(self.chip.part.family)

    @property
    def lacking(self) -> str | None:
        """Why Summand makes no top and no bitstream for the board, in a line; None if it does."""
        if not self.family.constraints:
            return (
                f"Summand makes no top and no bitstream for {self.family.title}, only the engine: "
                f"take its Verilog into {self.family.maker_tool}"
            )
        if self.top is None:
            return f"the file of {self.name} has no [top], which names the pins of a whole design"
        if self.link.baud is None and not (self.link.kind == "ethernet" and self.ethernet):
            return (
                f"Summand makes whole designs with a link of kind uart, or of kind ethernet with "
                f"an [ethernet] in the file, and that of {self.name} is {self.link.kind}: there "
                f"is the engine alone"
            )
        return None

    def designed(self) -> BoardTop:
        """Return where its pins are; raises :class:`ConfigError` if Summand makes no design."""
        if self.lacking or self.top is None:
            raise ConfigError(f"{self.name}: {self.lacking}")
        return self.top

    def networked(self) -> BoardEthernet:
        """Return its Ethernet; raises :class:`ConfigError` if its file does not describe one."""
        if self.ethernet is None:
            raise ConfigError(
                f"the file of {self.name} has no [ethernet], its transceiver and addresses: build "
                f"it without --ethernet, or give a file of your own that has one"
            )
        return self.ethernet

    def network(self, *, asked: bool) -> BoardEthernet | None:
        """Return its Ethernet where a design's link is UDP: asked for, or by its link's kind.

        Raises
        ------
        ConfigError
            If it is wanted, and the board's file does not describe one.
        """
        return self.networked() if asked or self.link.kind == "ethernet" else None

    def design_hz(self, *, memory: bool) -> int:
        """Return the engine's clock, in a design with the board's memory or without.

        Raises
        ------
        ConfigError
            If the board's file does not describe its memory.
        """
        if not memory:
            return self.clock.engine_hz
        if self.memory.dram is None:
            raise ConfigError(f"the file of {self.name} has no [memory.dram], its memory in full")
        return self.memory.dram.clock_hz

    def platform(self) -> Any:
        """Return the Amaranth platform, of amaranth-boards.

        Raises
        ------
        ConfigError
            If Summand makes no design of the board, or amaranth-boards has no such platform.
        """
        module, _, name = self.designed().platform.partition(":")
        importlib.import_module(_PLATFORMS)  # which is told where it is not installed
        try:
            return getattr(importlib.import_module(module), name)()
        except (ModuleNotFoundError, AttributeError):
            raise ConfigError(f"{self.name}: there is no platform {module}:{name}") from None
