"""An engine with a memory behind a serial line: the gateware of a board."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, flipped

from summand.boards.link.link import LinkConfig
from summand.boards.link.uart import Baud, UartReceiver, UartTransmitter
from summand.boards.linked import linked
from summand.boards.top_memory import TopMemory
from summand.isa import EngineConfig

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
    memory : :class:`~summand.boards.top_memory.TopMemory`
        The engine's memory.
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
    native, control
        The way to the memory: :attr:`~summand.boards.top_memory.TopMemory.members`.
    """

    clk: Signal
    rst: Signal
    rx: Signal
    tx: Signal
    native: Any
    control: Any

    def __init__(self, config: EngineConfig, *, memory: TopMemory, baud: Baud, link: LinkConfig):
        self.config = config
        self.memory = memory
        self.baud = baud
        self.link = link
        pins = {"clk": In(1), "rst": In(1), "rx": In(1), "tx": Out(1)}
        super().__init__(pins | memory.members)

    def elaborate(self, platform):
        m = Module()

        domain: Any = ClockDomain("sync", local=True)
        domain.clk = self.clk
        m.domains += domain
        m.submodules.receiver = receiver = UartReceiver(self.baud)
        m.submodules.transmitter = transmitter = UartTransmitter(self.baud)
        hosted = self.memory.engine(self.config)
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
        self.memory.join(m, hosted, self.native)

        return m
