"""A board's Ethernet, as its TOML file describes it."""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from summand.boards.link.datagrams import UDP_PORT
from summand.families.toml import RECORD, Text
from summand.isa import ConfigError

__all__ = ["BoardEthernet"]

#: What the FPGA can delay a pad by: 127 steps of 25 ps.
_DelayNs = Annotated[float, Field(ge=0, lt=3.2, strict=True, allow_inf_nan=False)]
_Port = Annotated[int, Field(gt=0, lt=1 << 16, strict=True)]


@dataclass(frozen=True, kw_only=True, config=RECORD)
class BoardEthernet:
    """A board's gigabit transceiver, joined to the FPGA by RGMII, and who the board is on it.

    Parameters
    ----------
    ip_address : str
        The board's IPv4 address.
    mac_address : str
        Its Ethernet address, six bytes in hexadecimal with colons, no group's.
    port : int
        Its UDP port.
    tx_delay_ns, rx_delay_ns : float
        By how much the FPGA delays the clock that it sends, and the data that it receives, where
        neither transceiver nor board does.
    pulled_up : tuple of str
        Pads that the FPGA pulls up, because the transceiver reads its mode there as its reset ends.
    source : str
        Which transceiver, and how the delays and its mode are known.
    """

    ip_address: Text = "192.168.1.50"
    mac_address: Text = "10:e2:d5:00:00:00"
    port: _Port = UDP_PORT
    tx_delay_ns: _DelayNs
    rx_delay_ns: _DelayNs
    pulled_up: tuple[Literal["rx_ctl", "rx_data"], ...] = ()
    source: Text

    def __post_init__(self):
        try:
            address = ipaddress.IPv4Address(self.ip_address)
        except ValueError as e:
            raise ConfigError(f"ip_address must be an IPv4 address: {e}") from None
        if address.is_multicast or address.is_loopback or address.packed[0] in (0, 255):
            raise ConfigError(f"ip_address must be one of a single host, not {self.ip_address}")
        if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", self.mac_address):
            raise ConfigError(
                f"mac_address must be like 10:e2:d5:00:00:00, not {self.mac_address!r}"
            )
        if int(self.mac_address[:2], 16) & 1:
            raise ConfigError(f"mac_address must be one of a single host, not {self.mac_address}")
