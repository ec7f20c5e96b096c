"""Runs cut into bursts."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa.rounding import ceil_log2
from summand.rtl.memory.axi.bus import PAGE_BITS, AxiConfig
from summand.rtl.memory.port import Run

__all__ = ["Burst", "BurstCutter", "request"]

_INCR = 1
#: Bufferable and modifiable, but not cached: what the memory ports of Xilinx's chips want.
_CACHE = 0b0011
#: Data, secure, not privileged; as a stock DMA engine.
_PROT = 0b000


class Burst(data.StructLayout):
    """Beats that are asked for at once.

    Members
    -------
    address : ``address_bits``
        Of the first, in bytes on the bus.
    more : ``length_bits``
        How many follow the first.
    """

    def __init__(self, config: AxiConfig):
        super().__init__({"address": config.address_bits, "more": config.length_bits})


class BurstCutter(wiring.Component):
    """Cut runs into bursts, and count those under way.

    Bursts end where the address is a multiple of the longest burst's length, so none leaves its
    4 KB, and the memory sees whole aligned bursts. Counting only whole ones takes no adder for
    lengths. A burst every two cycles, a run of one burst every three.

    Parameters
    ----------
    config : :class:`~summand.rtl.memory.axi.bus.AxiConfig`
        Sizes.

    Members
    -------
    runs : ``In(stream.Signature(Run()))``
        Runs.
    base : ``In(address_bits - 12)``
        Where the memory begins on the bus, in 4 KB; constant while there are runs.
    abort : ``In(1)``
        Take no run, drop what is left of one, and begin no burst.
    room : ``In(1)``
        A burst of any length may begin.
    o : ``Out(stream.Signature(Burst(config)))``
        Bursts, from registers.
    began : ``Out(1)``
        High in the first cycle in which a burst is offered.
    ended : ``In(1)``
        The oldest burst under way has ended. Ignored where there is none.
    idle : ``Out(1)``
        There is no run, and no burst under way; low from the cycle after a run was taken.
    """

    runs: stream.Interface
    base: Signal
    abort: Signal
    room: Signal
    o: stream.Interface
    began: Signal
    ended: Signal
    idle: Signal

    def __init__(self, config: AxiConfig):
        self.config = config
        super().__init__(
            {
                "runs": In(stream.Signature(Run())),
                "base": In(config.address_bits - PAGE_BITS),
                "abort": In(1),
                "room": In(1),
                "o": Out(stream.Signature(Burst(config))),
                "began": Out(1),
                "ended": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        low = cfg.length_bits

        active = Signal()  # a run is being cut
        placed = Signal()  # `left` counts from the longest burst's multiple before the run
        above = Signal(cfg.run_bits - low)  # the burst's address, in longest bursts
        below = Signal(low)  # and the rest of it
        left = Signal(cfg.run_bits)  # from the same multiple to the run's last beat
        last = Signal()
        take = Signal()
        begin = Signal()
        free = Signal(ceil_log2(cfg.bursts) + 1, init=cfg.bursts)
        m.d.comb += [
            self.runs.ready.eq(~(active | self.abort)),
            take.eq(self.runs.valid & self.runs.ready),
            last.eq(left[low:] == 0),
            begin.eq(placed & self.room & free.any() & ~self.o.valid & ~self.abort),
        ]

        # One adder: `below - 1` is added once, and the longest burst taken off for each burst.
        lower = Mux(placed, 0, below - 1)[:low]
        upper = placed | (below == 0)
        step = Cat(lower, upper.replicate(cfg.run_bits - low))
        with m.If(self.abort | (begin & last)):
            m.d.sync += [active.eq(0), placed.eq(0)]
        with m.Elif(take):
            m.d.sync += active.eq(1)
        with m.Elif(active):
            m.d.sync += placed.eq(1)
        with m.If(~active):
            m.d.sync += [
                left.eq(self.runs.p.beats),
                Cat(below, above).eq(self.runs.p.address),
            ]
        with m.Elif(begin | ~placed):
            m.d.sync += left.eq(left + step)
        with m.If(begin):
            m.d.sync += [above.eq(above + 1), below.eq(0)]

        with m.If(begin):
            m.d.sync += [
                self.o.p.address.eq(self._on_the_bus(Cat(below, above))),
                self.o.p.more.eq(Mux(last, left[:low], cfg.burst_beats - 1) - below),
                self.o.valid.eq(1),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.sync += self.began.eq(begin)

        nothing = free[-1]  # under way
        ends = Signal()
        m.d.comb += ends.eq(self.ended & ~nothing)
        with m.If(self.began ^ ends):
            m.d.sync += free.eq(free + Cat(C(1, 1), self.began.replicate(len(free) - 1)))
        m.d.sync += self.idle.eq(nothing & ~(active | take | self.o.valid))

        return m

    def _on_the_bus(self, address: Any) -> Any:
        """Return the byte address on the bus of an address in beats."""
        inside = PAGE_BITS - self.config.size
        page = (self.base + address[inside:])[: self.config.address_bits - PAGE_BITS]
        return Cat(C(0, self.config.size), address[:inside], page)


def request(m: Module, cutter: BurstCutter, bus: Any, prefix: str) -> None:
    """Show a cutter's bursts on the channel of addresses whose names begin with ``prefix``."""
    for name, value in {
        "addr": cutter.o.p.address,
        "len": cutter.o.p.more,
        "size": cutter.config.size,
        "burst": _INCR,
        "cache": _CACHE,
        "prot": _PROT,
        "valid": cutter.o.valid,
    }.items():
        m.d.comb += getattr(bus, prefix + name).eq(value)
    m.d.comb += cutter.o.ready.eq(getattr(bus, f"{prefix}ready"))
