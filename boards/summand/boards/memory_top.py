"""An engine with a memory behind a serial line: the gateware of a board."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from summand.boards.dram.gateware import ControlPort
from summand.boards.link.link import LinkConfig
from summand.boards.link.uart import Baud, UartReceiver, UartTransmitter
from summand.boards.linked import linked
from summand.isa import EngineConfig
from summand.rtl.feeds.played import PlayedEngine
from summand.rtl.memory.native import NativeMemory, NativePort

__all__ = ["MemoryTop"]


class MemoryTop(wiring.Component):
    """A :class:`~summand.boards.uart_top.UartTop` with a player, and the way to its memory.

    Everything runs on the memory controller's clock. ::

        rx > UartReceiver    >        > ByteFeed                       > PlayedEngine > NativeMemory
                               Link   > ControlBridge > RegisterBridge >                > native
        tx < UartTransmitter <        < ByteFeed    > control          <

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine's sizes.
    memory_bytes : int
        The memory's size.
    native : NativePort
        Sizes of the controller's port.
    baud : :class:`~summand.boards.link.uart.Baud`
        Bit rate of the line.
    link : :class:`~summand.boards.link.link.LinkConfig`
        Sizes of the link's buffers.

    Members
    -------
    clk, rst : ``In(1)``
        Clock, and reset, synchronous.
    rx, tx
        The serial line, as a :class:`~summand.boards.uart_top.UartTop`'s.
    native : ``Out(native)``
        The controller's port.
    control : ``Out(ControlPort())``
        Its registers.
    """

    clk: Signal
    rst: Signal
    rx: Signal
    tx: Signal
    native: Any
    control: Any

    def __init__(
        self,
        config: EngineConfig,
        *,
        memory_bytes: int,
        native: NativePort,
        baud: Baud,
        link: LinkConfig,
    ):
        self.config = config
        self.memory_bytes = memory_bytes
        self.baud = baud
        self.link = link
        super().__init__(
            {
                "clk": In(1),
                "rst": In(1),
                "rx": In(1),
                "tx": Out(1),
                "native": Out(native),
                "control": Out(ControlPort()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config

        domain: Any = ClockDomain("sync", local=True)
        domain.clk = self.clk
        m.domains += domain
        m.submodules.receiver = receiver = UartReceiver(self.baud)
        m.submodules.transmitter = transmitter = UartTransmitter(self.baud)
        hosted = PlayedEngine(config, self.memory_bytes // config.beat_bytes)
        linked(
            m,
            hosted,
            self.link,
            heard=receiver.o,
            said=transmitter.i,
            control=flipped(self.control),
            pins=[
                ResetSignal().eq(self.rst),
                receiver.rx.eq(self.rx),
                self.tx.eq(transmitter.tx),
            ],
        )
        m.submodules.memory = memory = NativeMemory(
            stream_bits=config.stream_bits, native=self.native.signature
        )
        connect(m, hosted.memory, memory.port)
        connect(m, memory.native, flipped(self.native))

        return m
