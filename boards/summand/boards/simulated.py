"""A board with its memory as it is built, but for its pins: what the native simulator runs."""

from dataclasses import dataclass
from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from summand.boards.board import Board
from summand.boards.dram.controller import DramController, controller_of
from summand.boards.dram.gateware import LiteDram
from summand.boards.link.link import LinkConfig
from summand.boards.linked import linked
from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.played import PlayedEngine
from summand.rtl.memory.native import NativeMemory

__all__ = ["SIMULATED_BOARD_MODULE", "SimulatedBoard", "SimulatedTop", "simulate_board"]

#: Name of the top module.
SIMULATED_BOARD_MODULE = "summand_simulated_board"


class SimulatedTop(wiring.Component):
    """Link, player, engine and a memory controller on LiteDRAM's model of PHY and memory.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine's sizes.
    controller : DramController
        Made to be simulated.
    memory_beats : int
        The memory's size.
    link : :class:`~summand.boards.link.link.LinkConfig`
        Sizes of the link's buffers.

    Members
    -------
    clk, rst : ``In(1)``
        Clock, and reset, synchronous.
    heard_payload, heard_valid : ``In(8)``, ``In(1)``
        Bytes off the line, which does not wait.
    said_payload, said_valid, said_ready
        Bytes for the line.
    """

    clk: Signal
    rst: Signal
    heard_payload: Signal
    heard_valid: Signal
    said_payload: Signal
    said_valid: Signal
    said_ready: Signal

    def __init__(
        self,
        config: EngineConfig,
        controller: DramController,
        *,
        memory_beats: int,
        link: LinkConfig,
    ):
        self.config = config
        self.controller = controller
        self.memory_beats = memory_beats
        self.link = link
        super().__init__(
            {
                "clk": In(1),
                "rst": In(1),
                "heard_payload": In(8),
                "heard_valid": In(1),
                "said_payload": Out(8),
                "said_valid": Out(1),
                "said_ready": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        domain: Any = ClockDomain("sync", local=True)
        domain.clk = self.clk
        domain.rst = self.rst
        m.domains += domain
        hosted = PlayedEngine(self.config, self.memory_beats)
        memory = NativeMemory(stream_bits=self.config.stream_bits, native=self.controller.native)
        m.submodules.memory = memory
        m.submodules.dram = dram = LiteDram(self.controller, pads={})
        heard = stream.Signature(8, always_ready=True).create()
        said = stream.Signature(8).flip().create()
        linked(m, hosted, self.link, heard=heard, said=said, control=dram.control)
        m.d.comb += [
            dram.clk.eq(self.clk),
            dram.rst.eq(self.rst),
            heard.payload.eq(self.heard_payload),
            heard.valid.eq(self.heard_valid),
            self.said_payload.eq(said.payload),
            self.said_valid.eq(said.valid),
            said.ready.eq(self.said_ready),
        ]
        connect(m, hosted.memory, memory.port)
        connect(m, memory.native, dram.native)

        return m


@dataclass(frozen=True, kw_only=True)
class SimulatedBoard:
    """A board's gateware for a simulator.

    Parameters
    ----------
    verilog : str
        Of :data:`SIMULATED_BOARD_MODULE` and all that it holds.
    controller : DramController
        The memory's, as it is in the Verilog.
    """

    verilog: str
    controller: DramController


def simulate_board(board: Board, config: EngineConfig) -> SimulatedBoard:
    """Return the gateware of ``board`` with an engine of ``config``, for a simulator.

    Raises
    ------
    ConfigError
        If the board's file does not describe its memory.
    SummandError
        If LiteDRAM is not installed.
    """
    controller = controller_of(board, simulated=True)
    top = SimulatedTop(
        config,
        controller,
        memory_beats=controller.dram.bytes // config.beat_bytes,
        link=LinkConfig(receive_bytes=1 << 15, transmit_bytes=1 << 14),
    )
    verilog = emit_verilog(top, name=SIMULATED_BOARD_MODULE, config=config)
    return SimulatedBoard(verilog=controller.verilog + verilog, controller=controller)
