"""An engine that can be reset alone."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.counters import CountersLayout
from summand.rtl.engine import Engine
from summand.rtl.reset import ResetHold
from summand.rtl.stream import Beat

__all__ = ["ResettableEngine"]


class ResettableEngine(wiring.Component):
    """An :class:`~summand.rtl.engine.Engine` with a reset that is long enough.

    The engine is reset for :meth:`Engine.reset_cycles` after a request, after power-up, and after a
    reset of this component, however short that is. Meanwhile no beat is taken at ``i`` and none is
    offered at ``o``; a beat that was offered is withdrawn.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    request : ``In(1)``
        Reset the engine from the next cycle on. A beat that is taken in this cycle is lost.
    resetting : ``Out(1)``
        The engine is being reset.
    i, o, busy, error, commands, counters
        As the :class:`~summand.rtl.engine.Engine`'s.
    """

    i: stream.Interface
    o: stream.Interface

    request: Signal
    resetting: Signal
    busy: Signal
    error: Signal
    commands: Signal
    counters: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "request": In(1),
                "resetting": Out(1),
                "i": In(stream.Signature(config.stream_bits)),
                "o": Out(stream.Signature(Beat(config.stream_bits))),
                "busy": Out(1),
                "error": Out(8),
                "commands": Out(32),
                "counters": Out(CountersLayout()),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.hold = hold = ResetHold(Engine.reset_cycles(self.config))
        m.d.comb += [hold.request.eq(self.request), self.resetting.eq(hold.reset)]

        domain: Any = ClockDomain("engine", local=True)
        m.domains += domain
        m.d.comb += [domain.clk.eq(ClockSignal()), domain.rst.eq(hold.reset)]
        engine = Engine(self.config)
        m.submodules.engine = DomainRenamer("engine")(engine)
        m.d.comb += [
            engine.i.payload.eq(self.i.payload),
            engine.i.valid.eq(self.i.valid),
            self.i.ready.eq(engine.i.ready & ~hold.reset),
            self.o.payload.eq(engine.o.payload),
            self.o.valid.eq(engine.o.valid & ~hold.reset),
            engine.o.ready.eq(self.o.ready),
            self.busy.eq(engine.busy),
            self.error.eq(engine.error),
            self.commands.eq(engine.commands),
            self.counters.eq(engine.counters),
        ]

        return m
