"""An engine behind a serial line: what a board is given."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from summand.boards.link.bridge import RegisterBridge
from summand.boards.link.link import Link, LinkConfig
from summand.boards.link.resize import BeatsToBytes, BytesToBeats
from summand.boards.link.uart import Baud, UartReceiver, UartTransmitter
from summand.isa import EngineConfig
from summand.rtl.engine import Engine
from summand.rtl.registers import RegisterBank, connect_engine
from summand.rtl.reset import ResetHold

__all__ = ["UartTop"]


class UartTop(wiring.Component):
    """An engine, its registers and the gateware's end of the link, on two wires.

    The first frame of a session resets the engine; so does a write of its register ``reset``,
    after which bytes that the link still holds reach it. ::

        rx > UartReceiver    >        > BytesToBeats > Engine
                               Link   > RegisterBridge > RegisterBank
        tx < UartTransmitter <        < BeatsToBytes < Engine

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
        bits = self.config.stream_bits

        receiver, transmitter = UartReceiver(self.baud), UartTransmitter(self.baud)
        link, bridge, bank = Link(self.link), RegisterBridge(), RegisterBank()
        # Two domains on one clock, so that the link outlives a reset of the engine.
        for name in ("sync", "link"):
            domain: Any = ClockDomain(name, local=True)
            domain.clk = self.clk
            m.domains += domain
        m.submodules.receiver = DomainRenamer("link")(receiver)
        m.submodules.transmitter = DomainRenamer("link")(transmitter)
        m.submodules.link = DomainRenamer("link")(link)
        m.submodules.bridge = DomainRenamer("link")(bridge)
        m.submodules.registers = DomainRenamer("link")(bank)
        m.submodules.gather = gather = BytesToBeats(bits)
        engine: Any = Engine(self.config)
        m.submodules.engine = engine
        m.submodules.scatter = scatter = BeatsToBytes(bits)

        hold = ResetHold(Engine.reset_cycles(self.config))
        m.submodules.hold = DomainRenamer("link")(hold)
        m.d.comb += [
            ResetSignal("link").eq(self.rst),
            hold.request.eq(link.reset | bank.pulse.reset),
            ResetSignal("sync").eq(hold.reset),
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
        ]
        connect(m, receiver.o, link.i)
        m.d.comb += [
            gather.i.payload.eq(link.down.payload),
            gather.i.valid.eq(link.down.valid),
            link.down.ready.eq(gather.i.ready & ~hold.reset),
        ]
        connect(m, gather.o, engine.i)
        connect(m, engine.o, scatter.i)
        connect(m, scatter.o, link.up)
        connect(m, link.o, transmitter.i)
        connect(m, link.registers, bridge.access)
        connect(m, bridge.bus, bank.bus)

        connect_engine(m, bank, engine)

        return m
