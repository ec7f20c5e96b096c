"""A board with its memory, simulated as it is built, as a device."""

from collections.abc import Callable

from summand.boards.board import Board
from summand.boards.dram.initialise import initialise
from summand.boards.link.host import LinePace
from summand.boards.simulated import SIMULATED_BOARD_MODULE, simulate_board
from summand.isa import EngineConfig
from summand.runtime.line import LineDevice, LineWords
from summand.runtime.memory.control import DeviceControl
from summand.runtime.memory.played import PlayedDevice
from summand.verilated.build import control_file
from summand.verilated.line import SimLine

__all__ = ["open_simulated_board"]


class _BoardLine:
    """A simulated board's bytes, as a :class:`~summand.runtime.line.Line`."""

    def __init__(self, line: SimLine, clock_hz: int):
        self._line = line
        #: A byte a cycle; a frame waits in the gateware for the one before it.
        self.pace = LinePace(byte_s=1 / clock_hz, turnaround_s=2e-4, frame_bytes=512)
        self.words = LineWords(
            board="the simulated board",
            silence="its Verilog is broken",
            harm="the simulated line loses bytes",
            remedy="its Verilog is broken",
        )

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        self._line.write(data)

    def read(self, timeout_s: float) -> bytes:
        """Run the clock until bytes have come."""
        return self._line.read(timeout_s)

    def close(self) -> None:
        """Free the simulator."""
        self._line.close()


def open_simulated_board(
    board: Board,
    config: EngineConfig,
    *,
    record: bool = False,
    progress: Callable[[str], None] | None = None,
) -> tuple[PlayedDevice, SimLine]:
    """Return a board with an engine of ``config``, its memory initialised, in the simulator.

    Link, player, engine and controller are those of the board's design; LiteDRAM's model stands for
    PHY and memory. Its clock is the only time there is: the line carries a byte a cycle.

    Parameters
    ----------
    board : Board
        Its file describes its memory.
    config : EngineConfig
        The engine's.
    record : bool
        Let the line keep when the engine took beats.
    progress : callable, optional
        Called with a line of text when a step starts that takes seconds.

    Returns
    -------
    tuple of PlayedDevice and SimLine
        The device, which owns the line, and its line, whose clock it runs on.

    Raises
    ------
    SummandError
        If a tool is missing, or the memory does not start.
    """
    if progress:
        progress("generating the memory's controller")
    simulated = simulate_board(board, config)
    clock_hz = simulated.controller.dram.clock_hz
    line = SimLine(
        simulated.verilog,
        top=SIMULATED_BOARD_MODULE,
        clock_hz=clock_hz,
        control=control_file(SIMULATED_BOARD_MODULE, played=True),
        record=record,
        progress=progress,
    )
    device = LineDevice(config, _BoardLine(line, clock_hz), clock=line.seconds)
    initialise(simulated.controller, DeviceControl(device, clock_hz, line.wait), board.name)
    return PlayedDevice(device), line
