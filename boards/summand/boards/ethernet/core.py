"""LiteEth's core of a board's Ethernet: Verilog, and the gateware around it."""

import ipaddress
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.datagrams import UDP_PORT
from summand.boards.link.udp_port import UdpSink, UdpSource
from summand.boards.litex import generated
from summand.boards.udp_top import UdpLinkConfig, UdpTop
from summand.isa import ConfigError, EngineConfig

__all__ = [
    "ETHERNET_MODULE",
    "RGMII_PADS",
    "SIMULATED_PADS",
    "EthernetConfig",
    "EthernetTop",
    "generate_ethernet",
]

#: Name of the core's module.
ETHERNET_MODULE = "summand_ethernet"

#: Pads of a transceiver that is joined by RGMII, by LiteEth's names.
RGMII_PADS = {
    "rgmii_clocks_rx": In(1),
    "rgmii_clocks_tx": Out(1),
    "rgmii_rst_n": Out(1),
    "rgmii_rx_ctl": In(1),
    "rgmii_rx_data": In(4),
    "rgmii_tx_ctl": Out(1),
    "rgmii_tx_data": Out(4),
}

#: What stands in for them in a core that is simulated: bytes of frames and their ends.
SIMULATED_PADS = {
    "line_clk": In(1),
    "line_rx_valid": In(1),
    "line_rx_last": In(1),
    "line_rx_data": In(8),
    "line_tx_valid": Out(1),
    "line_tx_last": Out(1),
    "line_tx_data": Out(8),
}

_GENERATOR = Path(__file__).with_name("generator.py")

#: The slowest clock at which a word of four bytes a cycle keeps up with a gigabit.
_LEAST_HZ = 31_250_000


@dataclass(frozen=True, kw_only=True)
class EthernetConfig:
    """A board on the network.

    Parameters
    ----------
    clock_hz : int
        Clock of the gateware, at least 31.25 MHz, at which it takes all that a gigabit brings.
    ip_address : str
        Its IPv4 address.
    mac_address : str
        Its Ethernet address, six bytes in hexadecimal with colons.
    port : int
        Its UDP port.
    tx_delay_s, rx_delay_s : float
        By how much the FPGA delays clock and data of RGMII where neither transceiver nor board
        does.
    """

    clock_hz: int
    ip_address: str = "192.168.1.50"
    mac_address: str = "10:e2:d5:00:00:00"
    port: int = UDP_PORT
    tx_delay_s: float = 0.0
    rx_delay_s: float = 2e-9

    def __post_init__(self):
        if self.clock_hz < _LEAST_HZ:
            raise ConfigError(
                f"clock_hz must be at least {_LEAST_HZ}, not {self.clock_hz}: the core could not "
                f"keep up with a gigabit"
            )
        try:
            ipaddress.IPv4Address(self.ip_address)
        except ValueError as e:
            raise ConfigError(f"ip_address must be an IPv4 address: {e}") from None
        if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", self.mac_address):
            raise ConfigError(
                f"mac_address must be like 10:e2:d5:00:00:00, not {self.mac_address!r}"
            )
        if not 1 <= self.port < 1 << 16:
            raise ConfigError(f"port must be 1 to 65535, not {self.port}")
        for name in ("tx_delay_s", "rx_delay_s"):
            if not 0 <= (value := getattr(self, name)) < 3.2e-9:
                raise ConfigError(f"{name} must be at least 0 and below 3.2e-9, not {value}")


def generate_ethernet(config: EthernetConfig, *, device: str, simulated: bool = False) -> str:
    """Have LiteEth write a board's core, module :data:`ETHERNET_MODULE`; takes some seconds.

    Equal calls give equal text.

    Parameters
    ----------
    config : EthernetConfig
        The board on the network.
    device : str
        The FPGA, an ECP5, as Lattice names it.
    simulated : bool
        Put :data:`SIMULATED_PADS` in place of :data:`RGMII_PADS`.

    Raises
    ------
    SummandError
        If LiteEth is not installed, or cannot make it.
    """
    fields = asdict(config)
    fields["mac_address"] = int(config.mac_address.replace(":", ""), 16)
    description = {"name": ETHERNET_MODULE, "device": device, "simulated": simulated, **fields}
    return generated(
        _GENERATOR,
        description,
        needs=("migen", "litex", "liteeth"),
        what="a board's Ethernet",
        failure="LiteEth cannot make the core",
    )


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
    ... : :data:`RGMII_PADS` or :data:`SIMULATED_PADS`
        The transceiver.
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
        m.d.comb += [board.clk.eq(self.clk), board.rst.eq(self.rst)]
        ports: dict[str, Any] = {"i_clk": self.clk, "i_rst": self.rst}
        for name, member in self.pads.items():
            ports[f"{'i' if member.flow is In else 'o'}_{name}"] = getattr(self, name)
        for end, signature, core_drives in (("source", UdpSource(), Out), ("sink", UdpSink(), In)):
            for name, member in signature.members.items():
                way = "o" if member.flow is core_drives else "i"
                ports[f"{way}_{end}_{name}"] = getattr(board, f"{end}_{name}")
        m.submodules.core = Instance(ETHERNET_MODULE, **ports)

        return m
