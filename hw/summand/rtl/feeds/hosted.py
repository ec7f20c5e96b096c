"""An engine with its registers: what every top puts behind a feed."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from summand.isa import EngineConfig
from summand.rtl.feeds.port import FeedPort
from summand.rtl.registers import AxiLite, RegisterBank, connect_engine
from summand.rtl.resettable import ResettableEngine

__all__ = ["HostedEngine"]


class HostedEngine(wiring.Component):
    """A :class:`~summand.rtl.resettable.ResettableEngine` and its register bank.

    A write of the register ``reset`` resets the engine while the registers go on.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    feed : ``In(FeedPort)``
        Commands and packets.
    bus : ``In(AxiLite())``
        Registers, see :class:`~summand.rtl.registers.RegisterBank`.
    request : ``In(1)``
        Reset the engine, as the register does.
    """

    feed: Any
    bus: Any
    request: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({"feed": In(FeedPort(config)), "bus": In(AxiLite()), "request": In(1)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.engine = engine = ResettableEngine(self.config)
        m.submodules.registers = bank = RegisterBank()
        wiring.connect(m, wiring.flipped(self.feed.commands), engine.i)
        wiring.connect(m, engine.o, wiring.flipped(self.feed.packets))
        wiring.connect(m, wiring.flipped(self.bus), bank.bus)
        m.d.comb += [
            self.feed.resetting.eq(engine.resetting),
            engine.request.eq(self.request | bank.pulse.reset),
        ]
        connect_engine(m, bank, engine)

        return m
