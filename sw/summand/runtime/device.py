"""One interface to engines: the golden model, the simulator and boards."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from threadpoolctl import ThreadpoolController

from summand.golden import GoldenEngine
from summand.golden.player import GoldenPlayer
from summand.isa import EngineConfig, SummandError
from summand.runtime.errors import DeviceTimeout

if TYPE_CHECKING:
    from summand.boards.board import Board

__all__ = ["DEFAULT_BAUD", "Device", "GoldenDevice", "open_device"]

#: Bits a second on the serial lines of boards that do not say otherwise.
DEFAULT_BAUD = 3_000_000


class Device(Protocol):
    """Something that takes an engine's input stream and gives its output stream."""

    @property
    def config(self) -> EngineConfig:
        """The configuration that this engine is believed to have."""
        ...

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue bytes for the input stream, in order; together they are whole beats.

        The chunks may be kept by reference until the engine has taken them. The device must store
        output that comes meanwhile, because an engine that cannot send takes no input.
        """
        ...

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return exactly ``nbytes`` of the output stream.

        Raises
        ------
        TimeoutError
            If they do not come within ``timeout_s`` seconds, or can no longer come.
        """
        ...

    def read_register(self, name: str) -> int:
        """Return the value of a register of :data:`summand.isa.registers.REGISTERS`."""
        ...

    def write_register(self, name: str, value: int) -> None:
        """Write a register. Writing ``reset`` also drops all bytes queued in both directions."""
        ...

    def close(self) -> None:
        """Release the device's resources; it cannot be used afterwards."""
        ...


class GoldenDevice:
    """The golden model as a device: exact, untimed, no tools needed.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    memory_beats : int
        Size of a memory in front of it, whose player takes items; 0: none, the engine's stream.
    """

    def __init__(self, config: EngineConfig, memory_beats: int = 0):
        self._engine = GoldenPlayer(config, memory_beats) if memory_beats else GoldenEngine(config)
        self._config = config
        self._threads = ThreadpoolController()

    @property
    def config(self) -> EngineConfig:
        """The configuration that is modelled."""
        return self._config

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Execute bytes; only an unfinished command stays queued.

        On one thread: a few rows times a large matrix wait for memory, and a second thread makes
        them up to eight times slower where torch has threads of its own.
        """
        with self._threads.limit(limits=1, user_api="blas"):
            self._engine.write(chunks)

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return ``nbytes`` at once; missing output can never come, so there is no wait."""
        if self._engine.available < nbytes:
            raise DeviceTimeout(
                f"the golden model has {self._engine.available} bytes of output, not {nbytes}, "
                f"and waits for more input; the stream is cut short or an error stopped it"
            )
        return self._engine.read(nbytes)

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._engine.read_register(name)

    def write_register(self, name: str, value: int) -> None:
        """Write a register."""
        self._engine.write_register(name, value)

    def close(self) -> None:
        """Do nothing; there is nothing to release."""


def open_device(
    name: str,
    config: EngineConfig,
    *,
    board: "Board | None" = None,
    memory_bytes: int = 0,
    stall: float = 0.0,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Device:
    """Return the device called ``name``.

    Parameters
    ----------
    name : str
        ``golden``; ``sim`` for the generated Verilog in the native simulator; ``serial:PORT`` for
        a board at a serial port, such as ``serial:/dev/ttyUSB0`` or ``serial:COM3``;
        ``udp:HOST[:PORT]`` for one on the network, such as ``udp:192.168.1.50``;
        ``pynq:FILE`` for a bitstream with a stock AXI DMA, on the chip that this runs on;
        ``xdma:NAME`` for a PCIe card behind Xilinx's XDMA, such as ``xdma:/dev/xdma0``.
    config : EngineConfig
        The engine's.
    board : Board, optional
        The board at a port or an address: its serial rate (:data:`DEFAULT_BAUD` without it), and
        its memory, which is initialised if it has not been since power-up.
    memory_bytes : int
        Size of a memory for weights beside a golden or simulated engine, or which a card's engine
        was generated with; 0: none. A board says itself what it has.
    stall : float
        Probability that the simulator withholds a beat, on both sides.
    seed : int
        Seed of the stalls.
    progress : callable, optional
        Called with a line of text when a step starts that takes seconds.

    Raises
    ------
    DeviceError
        If the port or the board there does not answer; the text says why.
    SummandError
        If there is no such device.
    """
    memory_beats = memory_bytes // config.beat_bytes
    match name.partition(":"):
        case ("golden", "", _):
            device = GoldenDevice(config, memory_beats)
        case ("sim", "", _):
            from summand.verilated import SimDevice  # here: needs Verilator

            device = SimDevice(
                config, memory_beats=memory_beats, stall=stall, seed=seed, progress=progress
            )
        case ("serial", ":", port) if port:
            from summand.runtime.line import LineDevice
            from summand.runtime.serial import SerialLine  # here: needs pyserial

            baud = board.link.baud if board else None
            device = LineDevice(config, SerialLine(port, baud or DEFAULT_BAUD))
            memory_beats = _memory(device, board)
        case ("udp", ":", where):
            from summand.runtime.line import LineDevice
            from summand.runtime.udp import UdpLine, udp_address

            device = LineDevice(config, UdpLine(*udp_address(where)))
            memory_beats = _memory(device, board)
        case ("pynq", ":", bitstream) if bitstream:
            from summand.runtime.overlay import Overlay
            from summand.runtime.pynq import PynqDevice

            device = PynqDevice(config, Overlay.load(bitstream))
            memory_beats = device.memory_beats
        case ("xdma", ":", card) if card:
            from summand.runtime.xdma import Xdma, XdmaDevice

            device = XdmaDevice(config, Xdma.open(card), memory_beats=memory_beats)
        case _:
            raise SummandError(
                f"no device is called {name!r}; there are golden, sim, serial:PORT, "
                f"udp:HOST[:PORT], pynq:FILE and xdma:NAME"
            )
    if not memory_beats:
        return device
    from summand.runtime.memory.played import PlayedDevice  # here: it is made of a device

    return PlayedDevice(device)


def _memory(device: Device, board: "Board | None") -> int:
    """Return the beats of a board's memory, which is initialised if need be; closes on failure."""
    try:
        beats = device.read_register("memory_beats")
        if beats and board and board.memory.dram:
            from summand.boards.dram.controller import controller_of
            from summand.boards.dram.initialise import initialise, initialised
            from summand.runtime.memory.control import DeviceControl

            controller = controller_of(board)
            bus = DeviceControl(device, controller.dram.clock_hz)
            if not initialised(controller, bus):
                initialise(controller, bus, board.name)
    except BaseException:
        device.close()
        raise
    return beats
