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
from summand.boards.ethernet.core import ETHERNET_MODULE, generate_ethernet
from summand.boards.ethernet.gateware import LiteEth
from summand.boards.ethernet.pads import request_pads as request_rgmii
from summand.boards.ethernet.record import BoardEthernet
from summand.boards.link.link import LinkConfig
from summand.boards.link.uart import Baud
from summand.boards.memory_top import MemoryTop
from summand.boards.top_memory import TopMemory
from summand.boards.uart_top import UartTop
from summand.boards.udp_top import UdpLinkConfig, UdpTop
from summand.isa import ConfigError, EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.technology import Technology

__all__ = ["BOARD_MODULE", "TOP_MODULE", "board_files", "constraints_of"]

#: The module without pins: ports ``clk``, ``rst``, and ``rx``, ``tx`` or those of LiteEth's core.
#: Simulations take this one.
BOARD_MODULE = "summand_board"
#: The module around it: buffers, PLL, reset. Names in the constraints are its ports.
TOP_MODULE = "summand_top"


class _Pins(Elaboratable):
    """The board's pins around an instance of :data:`BOARD_MODULE`.

    With a ``controller``, the memory's too, and the controller, whose clock is that of all else.
    With ``ethernet``, the transceiver's in place of the serial line's, and LiteEth's core.
    """

    def __init__(
        self, board: Board, controller: DramController | None, ethernet: BoardEthernet | None
    ):
        self.board = board
        self.controller = controller
        self.ethernet = ethernet

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

        line = self._network(m, platform) if self.ethernet else self._serial(m, platform)
        m.submodules.board = Instance(
            BOARD_MODULE, i_clk=ClockSignal(), i_rst=ResetSignal(), **line, **memory
        )

        return m

    def _serial(self, m: Module, platform: Any) -> dict[str, Any]:
        """Add the serial line's buffers; returns the instance's ports for it."""
        uart = platform.request(self.board.designed().uart, dir="-")
        m.submodules.rx = rx = io.Buffer(io.Direction.Input, uart.rx)
        m.submodules.tx = tx = io.Buffer(io.Direction.Output, uart.tx)
        return {"i_rx": rx.i, "o_tx": tx.o}

    def _network(self, m: Module, platform: Any) -> dict[str, Any]:
        """Add LiteEth's core; returns the instance's ports for it."""
        pads = request_rgmii(platform, self.board.networked())
        m.submodules.ethernet = ethernet = LiteEth(pads)
        m.d.comb += [ethernet.clk.eq(ClockSignal()), ethernet.rst.eq(ResetSignal())]
        ends = {"source": ethernet.source, "sink": ethernet.sink}
        return {k: v for name, end in ends.items() for k, v in _ports(name, end, "_").items()}

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


def _ports(name: str, interface: Any, joint: str = "__") -> dict[str, Any]:
    """Return an instance's ports for a member ``name`` whose other side is ``interface``."""
    return {
        f"{'o' if member.flow is In else 'i'}_{joint.join((name, *path))}": value
        for path, member, value in interface.signature.flatten(interface)
    }


def board_files(
    board: Board,
    config: EngineConfig,
    technology: Technology,
    *,
    memory: bool = False,
    ethernet: bool = False,
) -> Mapping[str, str]:
    """Return the files of ``board`` with an engine of ``config``: names and texts.

    ``summand_board.v`` is the engine behind its link, with the primitives of ``technology``.
    ``summand_top.v`` instantiates it and is the top for synthesis. The file
    :func:`constraints_of` constrains pins and clock. With ``memory`` the engine has a player, and
    ``summand_dram.v`` is the controller of the board's memory, whose clock all runs on. With
    ``ethernet`` the link is UDP in place of the serial line, and ``summand_ethernet.v`` is
    LiteEth's core.

    Raises
    ------
    ConfigError
        If Summand makes no design of the board, or its file does not describe its memory or its
        Ethernet.
    SummandError
        If LiteDRAM or LiteEth, which make controller and core, are not installed.
    """
    board.designed()
    network = board.network(asked=ethernet)
    clock_hz = board.design_hz(memory=memory)
    controller = controller_of(board) if memory else None
    held = TopMemory(bytes=controller.dram.bytes, native=controller.native) if controller else None
    made = {}
    if network:
        made[f"{ETHERNET_MODULE}.v"] = generate_ethernet(network, board.chip, clock_hz=clock_hz)
        top: Any = UdpTop(config, link=UdpLinkConfig(), memory=held)
    else:
        assert board.link.baud is not None
        baud = Baud(clock_hz=clock_hz, rate=board.link.baud)
        if held:
            top = MemoryTop(config, memory=held, baud=baud, link=LinkConfig())
        else:
            top = UartTop(config, baud=baud, link=LinkConfig())
    if controller:
        made[f"{CONTROLLER_MODULE}.v"] = controller.verilog
    core = emit_verilog(top, name=BOARD_MODULE, config=config, technology=technology)
    plan = board.platform().prepare(
        _Pins(board, controller, network), name=TOP_MODULE, emit_src=False, debug_verilog=True
    )
    return {
        f"{BOARD_MODULE}.v": core,
        f"{TOP_MODULE}.v": plan.files[f"{TOP_MODULE}.debug.v"],
        **made,
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
