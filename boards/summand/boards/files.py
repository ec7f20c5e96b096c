"""The files that a board's tools read: Verilog and constraints."""

from collections.abc import Mapping
from typing import Any

from amaranth import *
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from summand.boards.board import Board
from summand.boards.link.link import LinkConfig
from summand.boards.link.uart import Baud
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
    """The board's pins around an instance of :data:`BOARD_MODULE`."""

    def __init__(self, board: Board):
        self.board = board

    def elaborate(self, platform):
        m = Module()
        board, pins = self.board, self.board.designed()

        clock_pin = platform.request(pins.clock, dir="-")
        m.submodules.clock = clock = io.Buffer(io.Direction.Input, clock_pin)
        reset = Signal()
        if pins.reset:
            m.submodules.button = button = io.Buffer(
                io.Direction.Input, platform.request(pins.reset, dir="-")
            )
            m.d.comb += reset.eq(button.i)
        m.domains.sync = ClockDomain("sync")
        if board.clock.engine_hz == board.clock.oscillator_hz:
            m.d.comb += ClockSignal().eq(clock.i)
            unready = reset
        else:
            m.submodules.pll = pll = _pll(board)
            m.d.comb += [pll.i.eq(clock.i), ClockSignal().eq(pll.o)]
            unready = reset | ~pll.locked
        # Boards without a button need it too, because it holds reset after configuration.
        m.submodules.reset = ResetSynchronizer(unready)

        uart = platform.request(pins.uart, dir="-")
        m.submodules.rx = rx = io.Buffer(io.Direction.Input, uart.rx)
        m.submodules.tx = tx = io.Buffer(io.Direction.Output, uart.tx)
        m.submodules.board = Instance(
            BOARD_MODULE,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_rx=rx.i,
            o_tx=tx.o,
        )

        return m


def board_files(board: Board, config: EngineConfig, technology: Technology) -> Mapping[str, str]:
    """Return the files of ``board`` with an engine of ``config``: names and texts.

    ``summand_board.v`` is the engine behind its link, with the primitives of ``technology``.
    ``summand_top.v`` instantiates it and is the top for synthesis. The file
    :func:`constraints_of` constrains pins and clock.

    Raises
    ------
    ConfigError
        If Summand makes no design of the board.
    """
    board.designed()
    assert board.link.baud is not None
    baud = Baud(clock_hz=board.clock.engine_hz, rate=board.link.baud)
    core = emit_verilog(
        UartTop(config, baud=baud, link=LinkConfig()),
        name=BOARD_MODULE,
        config=config,
        technology=technology,
    )
    plan = board.platform().prepare(
        _Pins(board), name=TOP_MODULE, emit_src=False, debug_verilog=True
    )
    return {
        f"{BOARD_MODULE}.v": core,
        f"{TOP_MODULE}.v": plan.files[f"{TOP_MODULE}.debug.v"],
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
