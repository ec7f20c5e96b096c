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
from summand.rtl.memory.port import MemoryPort

__all__ = ["MemoryTop"]


class MemoryTop(wiring.Component):
    """A :class:`~summand.boards.uart_top.UartTop` with a player, and the way to its memory.

    Everything runs on the memory controller's clock. ::

        rx > UartReceiver    >        > ByteFeed                        > PlayedEngine > memory
                               Link   > ControlBridge > RegisterBridge  >
        tx < UartTransmitter <        |       > control
                                      < ByteFeed                        <

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine's sizes.
    memory_beats : int
        The memory's size.
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
    memory : ``Out(MemoryPort(stream_bits))``
        The memory.
    control : ``Out(ControlPort())``
        Its controller's registers.
    """

    clk: Signal
    rst: Signal
    rx: Signal
    tx: Signal
    memory: Any
    control: Any

    def __init__(self, config: EngineConfig, *, memory_beats: int, baud: Baud, link: LinkConfig):
        self.config = config
        self.memory_beats = memory_beats
        self.baud = baud
        self.link = link
        super().__init__(
            {
                "clk": In(1),
                "rst": In(1),
                "rx": In(1),
                "tx": Out(1),
                "memory": Out(MemoryPort(config.stream_bits)),
                "control": Out(ControlPort()),
            }
        )

    def elaborate(self, platform):
        m = Module()

        domain: Any = ClockDomain("sync", local=True)
        domain.clk = self.clk
        m.domains += domain
        m.submodules.receiver = receiver = UartReceiver(self.baud)
        m.submodules.transmitter = transmitter = UartTransmitter(self.baud)
        hosted = PlayedEngine(self.config, self.memory_beats)
        linked(
            m,
            hosted,
            self.link,
            heard=receiver.o,
            said=transmitter.i,
            control=flipped(self.control),
        )
        m.d.comb += [
            ResetSignal().eq(self.rst),
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
        ]
        connect(m, hosted.memory, flipped(self.memory))

        return m
