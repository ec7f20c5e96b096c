"""Boards as data: FPGA, clock, memory, and the engine that goes on each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from summand.families.base import FpgaFamily
from summand.families.ecp5.parts import LFE5U_85F, LFE5UM5G_85F
from summand.families.parts import FpgaChip
from summand.families.registry import find_family
from summand.isa import ConfigError, EngineConfig

__all__ = ["BOARDS", "Board", "BoardMemory", "BoardPins", "find_board"]


@dataclass(frozen=True, kw_only=True)
class BoardMemory:
    """A board's main memory, for projections.

    Parameters
    ----------
    kind : str
        Its kind and size, for people.
    bytes : int
        Its size.
    peak_bytes_s : float
        Bytes a second at its interface, nothing subtracted for refresh and row changes.
    source : str
        How the figure follows from the board's documents.
    """

    kind: str
    bytes: int
    peak_bytes_s: float
    source: str


@dataclass(frozen=True, kw_only=True)
class BoardPins:
    """Names in the Amaranth platform of the resources that the gateware uses.

    Parameters
    ----------
    clock : str
        The oscillator.
    uart : str
        The serial line, of direction-giving members ``rx`` and ``tx``.
    reset : str or None
        A button that resets everything, if there is one.
    """

    clock: str
    uart: str = "uart"
    reset: str | None = None


@dataclass(frozen=True, kw_only=True)
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
    oscillator_hz : int
        Frequency at the board's clock pin.
    clock_hz : int
        Frequency of the gateware's clock; a PLL makes it from the oscillator where they differ.
    baud : int
        Bits a second on the serial line.
    memory : BoardMemory
        Main memory. No engine here uses it yet: weights come over the serial line.
    engine : EngineConfig
        An engine that fits, with room for a memory controller.
    pins : BoardPins
        Where clock, serial line and reset are.
    loader : str
        The options with which openFPGALoader finds the board.
    platform : callable
        Returns the Amaranth platform; imports amaranth-boards only then.
    """

    name: str
    title: str
    chip: FpgaChip
    oscillator_hz: int
    clock_hz: int
    baud: int
    memory: BoardMemory
    engine: EngineConfig
    pins: BoardPins
    loader: str
    platform: Callable[[], Any]

    @property
    def family(self) -> FpgaFamily:
        """The FPGA's family."""
        return find_family(self.chip.part.family)


def _ulx3s_85f() -> Any:
    from amaranth_boards.ulx3s import ULX3S_85F_Platform  # here: an extra that few need

    return ULX3S_85F_Platform()


def _ecpix5_85f() -> Any:
    from amaranth_boards.ecpix5 import ECPIX585Platform  # here: an extra that few need

    return ECPIX585Platform()


BOARDS = {
    board.name: board
    for board in (
        Board(
            name="ulx3s-85f",
            title="Radiona ULX3S with LFE5U-85F",
            chip=FpgaChip(part=LFE5U_85F, package="CABGA381", speed_grade=6),
            oscillator_hz=25_000_000,
            clock_hz=25_000_000,
            baud=3_000_000,
            memory=BoardMemory(
                kind="32 MB SDR SDRAM",
                bytes=32 << 20,
                peak_bytes_s=16 / 8 * 166e6,
                source="16 bits at 166 MHz, the fastest grade of the SDRAM that boards carry "
                "(ULX3S schematics, IS42S16160G-6 or AS4C16M16)",
            ),
            engine=EngineConfig(
                rows=8,
                cols=4,
                depth=32,
                stream_bits=128,
                act_depth=128,
                acc_depth=1024,
                shift=4,
                scale_bits=4,
            ),
            pins=BoardPins(clock="clk25"),
            loader="--board ulx3s",
            platform=_ulx3s_85f,
        ),
        Board(
            name="ecpix5-85f",
            title="LambdaConcept ECPIX-5 with LFE5UM5G-85F",
            chip=FpgaChip(part=LFE5UM5G_85F, package="CABGA554", speed_grade=8),
            oscillator_hz=100_000_000,
            clock_hz=50_000_000,
            baud=3_000_000,
            memory=BoardMemory(
                kind="512 MB DDR3",
                bytes=512 << 20,
                peak_bytes_s=16 / 8 * 800e6,
                source="16 bits at 800 MT/s, the fastest DDR3 of the ECP5 "
                "(Lattice FPGA-DS-02012, DDR3 interface performance)",
            ),
            engine=EngineConfig(
                rows=8,
                cols=8,
                depth=32,
                stream_bits=256,
                act_depth=128,
                acc_depth=512,
                shift=4,
                scale_bits=4,
            ),
            pins=BoardPins(clock="clk100", reset="rst"),
            loader="--cable ft2232",
            platform=_ecpix5_85f,
        ),
    )
}


def find_board(name: str) -> Board:
    """Return the board called ``name``; raises :class:`ConfigError` that lists those there are."""
    if name not in BOARDS:
        raise ConfigError(f"no board is called {name!r}; there are {', '.join(sorted(BOARDS))}")
    return BOARDS[name]
