"""Engines as IP blocks: AXI4-Stream in and out, registers on AXI4-Lite, a memory on AXI4."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.feeds.hosted import HostedEngine
from summand.rtl.feeds.played import PlayedEngine
from summand.rtl.memory.axi.bus import PAGE_BITS, AxiConfig, AxiReads, AxiWrites
from summand.rtl.memory.axi.memory import AxiMemory
from summand.rtl.registers import AxiLite

__all__ = [
    "MODULE",
    "PLAYED_MODULE",
    "AxiEngine",
    "AxiPlayedEngine",
    "AxiTop",
    "axi_members",
    "memory_members",
]

#: Name of the top module in the Verilog that is generated and simulated.
MODULE = "summand_engine"
#: The same of an engine with a memory.
PLAYED_MODULE = "summand_played"

_LITE = "s_axil_"
_MEMORY = "m_axi_"


def axi_members(config: EngineConfig) -> dict[str, wiring.Member]:
    """Return the members of an :class:`AxiEngine`, which are its Verilog's ports."""
    lite = AxiLite().flip().members
    return {
        "aclk": In(1),
        "aresetn": In(1),
        "s_axis_tdata": In(config.stream_bits),
        "s_axis_tvalid": In(1),
        "s_axis_tready": Out(1),
        "s_axis_tlast": In(1),
        "m_axis_tdata": Out(config.stream_bits),
        "m_axis_tvalid": Out(1),
        "m_axis_tready": In(1),
        "m_axis_tlast": Out(1),
        **{_LITE + name: member for name, member in lite.items()},
    }


def memory_members(bus: AxiConfig) -> dict[str, wiring.Member]:
    """Return the members that an :class:`AxiPlayedEngine` has besides."""
    return {
        _MEMORY + name: member
        for signature in (AxiReads(bus), AxiWrites(bus))
        for name, member in signature.members.items()
    }


class AxiTop(wiring.Component):
    """The ports that all have: clock, reset, streams and registers."""

    aclk: Signal
    aresetn: Signal
    s_axis_tdata: Signal
    s_axis_tvalid: Signal
    s_axis_tready: Signal
    s_axis_tlast: Signal
    m_axis_tdata: Signal
    m_axis_tvalid: Signal
    m_axis_tready: Signal
    m_axis_tlast: Signal

    def __init__(self, config: EngineConfig, more: dict[str, wiring.Member]):
        self.config = config
        super().__init__(axi_members(config) | more)

    def joined(self, m: Module, hosted: Any) -> None:
        """Put an engine behind the ports; all of ``m`` runs on their clock."""
        domain: Any = ClockDomain("sync", local=True)
        domain.clk = self.aclk
        m.domains += domain
        m.submodules.hosted = hosted
        feed = hosted.feed
        m.d.comb += [
            ResetSignal().eq(~self.aresetn),
            feed.commands.payload.eq(self.s_axis_tdata),
            feed.commands.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(feed.commands.ready),
            self.m_axis_tdata.eq(feed.packets.p.data),
            self.m_axis_tlast.eq(feed.packets.p.last),
            self.m_axis_tvalid.eq(feed.packets.valid),
            feed.packets.ready.eq(self.m_axis_tready),
        ]
        for name, member in AxiLite().members.items():
            outside, inside = getattr(self, _LITE + name), getattr(hosted.bus, name)
            m.d.comb += inside.eq(outside) if member.flow == Out else outside.eq(inside)


class AxiEngine(AxiTop):
    """An :class:`~summand.rtl.engine.Engine` behind ports that vendors' tools recognise.

    Everything runs on ``aclk``. A soft reset (register ``reset``) resets the engine while the
    registers go on, for :meth:`Engine.reset_cycles` from the cycle on in which the write is
    answered; no input beat is taken then, and those accepted after it belong to the new stream. A
    packet that was leaving is cut off, and a beat that was offered and not taken is withdrawn,
    which AXI4-Stream allows under reset only: empty or reset what listens on ``m_axis`` too.
    ``aresetn`` may be low for one cycle only: the engine's reset begins in the next cycle and
    lasts as long as a soft reset's.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    aclk, aresetn : ``In(1)``
        Clock, and reset, active low and synchronous.
    s_axis_tdata, s_axis_tvalid, s_axis_tready, s_axis_tlast
        Commands, ``stream_bits`` wide. ``tlast`` is ignored: headers carry lengths.
    m_axis_tdata, m_axis_tvalid, m_axis_tready, m_axis_tlast
        Packets, ``stream_bits`` wide; ``tlast`` marks a packet's last beat.
    s_axil_* : :class:`~summand.rtl.registers.AxiLite`
        Registers, see :class:`~summand.rtl.registers.RegisterBank`.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(config, {})

    def elaborate(self, platform):
        m = Module()

        self.joined(m, HostedEngine(self.config))

        return m


class AxiPlayedEngine(AxiTop):
    """An :class:`AxiEngine` with a player, whose memory is on AXI4.

    ``s_axis`` brings items. A soft reset ends when no burst is under way any more.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.
    memory_beats : int
        The memory's size.
    bus : AxiConfig
        Of the same ``stream_bits``.

    Members
    -------
    m_axi_* : :class:`~summand.rtl.memory.axi.bus.AxiReads`, ``AxiWrites``
        The memory, from the address in the registers ``base_lo`` and ``base_hi`` on.
    """

    def __init__(self, config: EngineConfig, *, memory_beats: int, bus: AxiConfig):
        self.memory_beats = memory_beats
        self.bus = bus
        super().__init__(config, memory_members(bus))

    def elaborate(self, platform):
        m = Module()

        hosted = PlayedEngine(self.config, self.memory_beats)
        self.joined(m, hosted)
        m.submodules.memory = memory = AxiMemory(self.bus)
        wiring.connect(m, hosted.memory, memory.port)
        m.d.comb += memory.base.eq(hosted.base >> PAGE_BITS)
        for channels in (memory.reads, memory.writes):
            for name, member in channels.signature.members.items():
                outside, inside = getattr(self, _MEMORY + name), getattr(channels, name)
                m.d.comb += outside.eq(inside) if member.flow == Out else inside.eq(outside)

        return m
