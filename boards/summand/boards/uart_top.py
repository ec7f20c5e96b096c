"""An engine behind a serial line: the gateware of a board."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.link import LinkConfig
from summand.boards.link.uart import Baud, UartReceiver, UartTransmitter
from summand.boards.linked import linked
from summand.isa import EngineConfig
from summand.rtl.feeds.hosted import HostedEngine

__all__ = ["UartTop"]


class UartTop(wiring.Component):
    """An engine, its registers and the gateware's end of the link, on two wires.

    The first frame of a session resets the engine; so does a write of its register ``reset``,
    after which bytes that the link still holds reach it. ::

        rx > UartReceiver    >        > ByteFeed       > HostedEngine
                               Link   > RegisterBridge >
        tx < UartTransmitter <        < ByteFeed       <

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine's sizes. Its stream may be of any width: beats are put together from bytes.
    baud : :class:`~summand.boards.link.uart.Baud`
        Bit rate of the line.
    link : :class:`~summand.boards.link.link.LinkConfig`
        Sizes of the link's buffers.

    Members
    -------
    clk, rst : ``In(1)``
        Clock, and reset, synchronous.
    rx : ``In(1)``
        Serial line in, not synchronised.
    tx : ``Out(1)``
        Serial line out.
    """

    clk: Signal
    rst: Signal
    rx: Signal
    tx: Signal

    def __init__(self, config: EngineConfig, *, baud: Baud, link: LinkConfig):
        self.config = config
        self.baud = baud
        self.link = link
        super().__init__({"clk": In(1), "rst": In(1), "rx": In(1), "tx": Out(1)})

    def elaborate(self, platform):
        m = Module()

        domain: Any = ClockDomain("sync", local=True)
        domain.clk = self.clk
        m.domains += domain
        m.submodules.receiver = receiver = UartReceiver(self.baud)
        m.submodules.transmitter = transmitter = UartTransmitter(self.baud)
        m.d.comb += ResetSignal().eq(self.rst)
        linked(
            m,
            HostedEngine(self.config),
            self.link,
            heard=receiver.o,
            said=transmitter.i,
            pins=[receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)],
        )

        return m
