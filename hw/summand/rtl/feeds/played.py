"""An engine behind a player: what a top with a memory puts behind a feed."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from summand.isa import EngineConfig
from summand.isa.registers import PLAYER_REGISTERS, REGISTERS
from summand.rtl.feeds.port import FeedPort
from summand.rtl.memory.port import MemoryPort
from summand.rtl.player.player import Player
from summand.rtl.registers import AxiLite, RegisterBank, connect_engine, connect_player
from summand.rtl.resettable import ResettableEngine

__all__ = ["PlayedEngine"]


class PlayedEngine(wiring.Component):
    """A :class:`~summand.rtl.feeds.hosted.HostedEngine` whose weights may lie in a memory.

    Its feed brings items in place of commands. A reset lasts until nothing is under way to or from
    the memory either; the memory's contents and the registers ``epoch_lo`` and ``epoch_hi`` stay.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.
    memory_beats : int
        The memory's size, 1 to ``2**32 - 1``.

    Members
    -------
    feed : ``In(FeedPort)``
        Items and packets.
    bus : ``In(AxiLite())``
        Registers, the engine's and the player's.
    request : ``In(1)``
        Reset engine and player, as the register does.
    memory : ``Out(MemoryPort)``
        The memory.
    base : ``Out(64)``
        The registers ``base_lo`` and ``base_hi``.
    """

    feed: Any
    bus: Any
    request: Signal
    memory: Any
    base: Signal

    def __init__(self, config: EngineConfig, memory_beats: int):
        self.config = config
        self.memory_beats = memory_beats
        super().__init__(
            {
                "feed": In(FeedPort(config)),
                "bus": In(AxiLite()),
                "request": In(1),
                "memory": Out(MemoryPort(config.stream_bits)),
                "base": Out(64),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.engine = engine = ResettableEngine(self.config)
        m.submodules.player = player = Player(self.config, self.memory_beats)
        m.submodules.registers = bank = RegisterBank((*REGISTERS, *PLAYER_REGISTERS))
        connect(m, flipped(self.feed.commands), player.i)
        connect(m, player.o, engine.i)
        connect(m, engine.o, flipped(self.feed.packets))
        connect(m, player.memory, flipped(self.memory))
        connect(m, flipped(self.bus), bank.bus)

        # The engine's reset is long enough for `idle` to be that of the runs before it.
        ending = Signal(init=1)
        with m.If(engine.resetting):
            m.d.sync += ending.eq(1)
        with m.Elif(self.memory.idle):
            m.d.sync += ending.eq(0)
        m.d.comb += [
            player.stop.eq(engine.resetting | ending),
            self.feed.resetting.eq(player.stop),
            engine.request.eq(self.request | bank.pulse.reset),
            self.base.eq(Cat(bank.kept.base_lo, bank.kept.base_hi)),
        ]
        connect_engine(m, bank, engine)
        connect_player(m, bank, player)

        return m
