"""A transceiver's pads on a board, as amaranth-boards and LiteEth call them."""

from typing import Any

from summand.boards.ethernet.core import RGMII_PADS
from summand.boards.ethernet.record import BoardEthernet
from summand.isa import ConfigError

__all__ = ["request_pads"]

#: The platforms' resource, and its names for LiteEth's pads.
_RESOURCE = "eth_rgmii"
_NAMES = {
    "rgmii_clocks_rx": "rx_clk",
    "rgmii_clocks_tx": "tx_clk",
    "rgmii_rst_n": "rst",
    "rgmii_rx_ctl": "rx_ctrl",
    "rgmii_rx_data": "rx_data",
    "rgmii_tx_ctl": "tx_ctrl",
    "rgmii_tx_data": "tx_data",
}
_PREFIX = "rgmii_"

#: Of the transceiver, at a gigabit.
_RX_CLOCK_HZ = 125e6


def request_pads(platform: Any, ethernet: BoardEthernet) -> dict[str, Any]:
    """Take a transceiver's pads from an ECP5's Amaranth platform; returns them by LiteEth's names.

    Its clock is constrained, and pads that it reads its mode at are pulled up. The lines by which
    its registers are reached stay open.

    Raises
    ------
    ConfigError
        If the platform has no such transceiver, or lacks a pad of it.
    """
    if (_RESOURCE, 0) not in platform.resources:
        raise ConfigError(f"the platform has no resource {_RESOURCE}, a transceiver's pads")
    pins = platform.request(_RESOURCE, 0, dir="-")
    pads = {}
    for name in RGMII_PADS:
        pin = getattr(pins, _NAMES[name], None)
        if pin is None:
            raise ConfigError(f"the platform's resource {_RESOURCE} has no {_NAMES[name]}")
        pads[name] = pin.io
    for name in ethernet.pulled_up:
        for bit in pads[_PREFIX + name].metadata:
            bit.attrs["PULLMODE"] = "UP"
    platform.add_clock_constraint(pads["rgmii_clocks_rx"], _RX_CLOCK_HZ)
    return pads
