"""LiteEth's core within a design."""

from collections.abc import Mapping
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.boards.ethernet.core import ETHERNET_MODULE, RGMII_PADS, SIMULATED_PADS
from summand.boards.link.udp_port import UdpSink, UdpSource
from summand.boards.udp_top import UdpLinkConfig, UdpTop
from summand.isa import EngineConfig

__all__ = ["EthernetTop", "LiteEth"]

_DIRECTIONS = RGMII_PADS | SIMULATED_PADS


class LiteEth(wiring.Component):
    """A generated core, whose Verilog is to be given to the tools beside that of this.

    The transceiver's clocks are its own affair: it has asynchronous FIFOs to and from ``clk``.

    Parameters
    ----------
    pads : mapping of str to object
        The transceiver's pads, by the names of :data:`~summand.boards.ethernet.core.RGMII_PADS`
        or :data:`~summand.boards.ethernet.core.SIMULATED_PADS`.

    Members
    -------
    clk, rst : ``In(1)``
        Clock, and reset, synchronous.
    source : ``Out(UdpSource())``
        Datagrams that arrive.
    sink : ``In(UdpSink())``
        Datagrams to be sent.
    """

    clk: Signal
    rst: Signal
    source: Any
    sink: Any

    def __init__(self, pads: Mapping[str, Any]):
        self.pads = pads
        super().__init__(
            {"clk": In(1), "rst": In(1), "source": Out(UdpSource()), "sink": In(UdpSink())}
        )

    def elaborate(self, platform):
        m = Module()

        ports = {"i_clk": self.clk, "i_rst": self.rst}
        for name, pad in self.pads.items():
            ports[f"{'i' if _DIRECTIONS[name].flow is In else 'o'}_{name}"] = pad
        for end, signature, core_drives in (("source", UdpSource(), Out), ("sink", UdpSink(), In)):
            for name, member in signature.members.items():
                way = "o" if member.flow is core_drives else "i"
                ports[f"{way}_{end}_{name}"] = getattr(getattr(self, end), name)
        m.submodules.core = Instance(ETHERNET_MODULE, **ports)

        return m


class EthernetTop(wiring.Component):
    """An engine on the network: a :class:`~summand.boards.udp_top.UdpTop` and LiteEth's core.

    The core's Verilog is to be given to the tools beside that of this.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine's sizes.
    link : :class:`~summand.boards.udp_top.UdpLinkConfig`
        Sizes of the link's buffers.
    simulated : bool
        The core is one that is simulated.

    Members
    -------
    clk, rst : ``In(1)``
        Clock, and reset, synchronous.
    ... : RGMII_PADS or SIMULATED_PADS
        The transceiver, by the core's names.
    """

    clk: Signal
    rst: Signal

    def __init__(self, config: EngineConfig, *, link: UdpLinkConfig, simulated: bool = False):
        self.config = config
        self.link = link
        self.pads = SIMULATED_PADS if simulated else RGMII_PADS
        super().__init__({"clk": In(1), "rst": In(1), **self.pads})

    def elaborate(self, platform):
        m = Module()

        m.submodules.board = board = UdpTop(self.config, link=self.link)
        m.submodules.ethernet = ethernet = LiteEth(
            {name: getattr(self, name) for name in self.pads}
        )
        for part in (board, ethernet):
            m.d.comb += [part.clk.eq(self.clk), part.rst.eq(self.rst)]
        for end in ("source", "sink"):
            for path, member, value in getattr(ethernet, end).signature.flatten(
                getattr(ethernet, end)
            ):
                port = getattr(board, "_".join((end, *path)))
                m.d.comb += port.eq(value) if member.flow is Out else value.eq(port)

        return m
