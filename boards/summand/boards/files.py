"""The files that a board's tools read: Verilog and constraints."""

from collections.abc import Mapping
from typing import Any

from amaranth import *
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In

from summand.boards.board import Board
from summand.boards.dram.controller import MODULE as CONTROLLER_MODULE
from summand.boards.dram.controller import DramController, controller_of
from summand.boards.dram.gateware import LiteDram
from summand.boards.dram.pads import request_pads
from summand.boards.link.link import LinkConfig
from summand.boards.link.uart import Baud
from summand.boards.memory_top import MemoryTop
from summand.boards.uart_top import UartTop
from summand.isa import ConfigError, EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.technology import Technology

__all__ = ["BOARD_MODULE", "TOP_MODULE", "board_files", "constraints_of"]

#: The module without pins: ports ``clk``, ``rst``, ``rx``, ``tx``. Simulations take this one.
BOARD_MODULE = "summand_board"
#: The module around it: buffers, PLL, reset. Names in the constraints are its ports.
TOP_MODULE = "summand_top"


class _Pins(Elaboratable):
    """The board's pins around an instance of :data:`BOARD_MODULE`.

    With a ``controller``, the memory's too, and the controller, whose clock is that of all else.
    """

    def __init__(self, board: Board, controller: DramController | None = None):
        self.board = board
        self.controller = controller

    def elaborate(self, platform):
        m = Module()
        pins = self.board.designed()

        clock_pin = platform.request(pins.clock, dir="-")
        m.submodules.clock = clock = io.Buffer(io.Direction.Input, clock_pin)
        reset = Signal()
        if pins.reset:
            m.submodules.button = button = io.Buffer(
                io.Direction.Input, platform.request(pins.reset, dir="-")
            )
            m.d.comb += reset.eq(button.i)
        m.domains.sync = ClockDomain("sync")
        memory = {}
        if self.controller:
            pads = request_pads(platform, self.controller.dram)
            m.submodules.dram = dram = LiteDram(self.controller, pads=pads)
            m.d.comb += [
                dram.clk.eq(clock.i),
                dram.rst.eq(reset),
                ClockSignal().eq(dram.user_clk),
                ResetSignal().eq(dram.user_rst),
            ]
            memory = _ports("native", dram.native) | _ports("control", dram.control)
        else:
            self._clocked(m, clock.i, reset)

        uart = platform.request(pins.uart, dir="-")
        m.submodules.rx = rx = io.Buffer(io.Direction.Input, uart.rx)
        m.submodules.tx = tx = io.Buffer(io.Direction.Output, uart.tx)
        m.submodules.board = Instance(
            BOARD_MODULE,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_rx=rx.i,
            o_tx=tx.o,
            **memory,
        )

        return m

    def _clocked(self, m: Module, clock: Value, reset: Signal) -> None:
        """Make the domain's clock of the oscillator's, and its reset."""
        board = self.board
        if board.clock.engine_hz == board.clock.oscillator_hz:
            m.d.comb += ClockSignal().eq(clock)
            unready = reset
        else:
            m.submodules.pll = pll = _pll(board)
            m.d.comb += [pll.i.eq(clock), ClockSignal().eq(pll.o)]
            unready = reset | ~pll.locked
        # Boards without a button need it too, because it holds reset after configuration.
        m.submodules.reset = ResetSynchronizer(unready)


def _ports(name: str, interface: Any) -> dict[str, Any]:
    """Return an instance's ports for a member ``name`` whose other side is ``interface``."""
    return {
        f"{'o' if member.flow is In else 'i'}_{'__'.join((name, *path))}": value
        for path, member, value in interface.signature.flatten(interface)
    }


def board_files(
    board: Board, config: EngineConfig, technology: Technology, *, memory: bool = False
) -> Mapping[str, str]:
    """Return the files of ``board`` with an engine of ``config``: names and texts.

    ``summand_board.v`` is the engine behind its link, with the primitives of ``technology``.
    ``summand_top.v`` instantiates it and is the top for synthesis. The file
    :func:`constraints_of` constrains pins and clock. With ``memory`` the engine has a player, and
    ``summand_dram.v`` is the controller of the board's memory, whose clock all runs on.

    Raises
    ------
    ConfigError
        If Summand makes no design of the board, or its file does not describe its memory.
    SummandError
        If LiteDRAM, which makes the controller, is not installed.
    """
    board.designed()
    if board.link.baud is None:
        raise ConfigError(
            f"{board.name}: a design needs a link of kind uart, not {board.link.kind}"
        )
    if not memory:
        baud = Baud(clock_hz=board.clock.engine_hz, rate=board.link.baud)
        top: Any = UartTop(config, baud=baud, link=LinkConfig())
        controller = None
    else:
        controller = controller_of(board)
        top = MemoryTop(
            config,
            memory_bytes=controller.dram.bytes,
            native=controller.native,
            baud=Baud(clock_hz=controller.dram.clock_hz, rate=board.link.baud),
            link=LinkConfig(),
        )
    core = emit_verilog(top, name=BOARD_MODULE, config=config, technology=technology)
    plan = board.platform().prepare(
        _Pins(board, controller), name=TOP_MODULE, emit_src=False, debug_verilog=True
    )
    return {
        f"{BOARD_MODULE}.v": core,
        f"{TOP_MODULE}.v": plan.files[f"{TOP_MODULE}.debug.v"],
        **({f"{CONTROLLER_MODULE}.v": controller.verilog} if controller else {}),
        constraints_of(board): plan.files[constraints_of(board)],
    }


def constraints_of(board: Board) -> str:
    """Return the name of the file of ``board``'s pins and clock."""
    return f"{TOP_MODULE}{board.family.constraints}"


def _pll(board: Board) -> Any:
    family, clock = board.family, board.clock
    if family.pll is None:
        raise ConfigError(
            f"{board.name} needs a PLL, and Summand knows none of {family.title}: let engine_hz be "
            f"its oscillator's {clock.oscillator_hz}"
        )
    return family.pll(input_hz=clock.oscillator_hz, output_hz=clock.engine_hz)
