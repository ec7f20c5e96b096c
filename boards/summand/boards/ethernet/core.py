"""LiteEth's core of a board's Ethernet: its Verilog."""

from pathlib import Path

from amaranth.lib.wiring import In, Out

from summand.boards.ethernet.record import BoardEthernet
from summand.boards.litex import generated
from summand.families.parts import FpgaChip
from summand.isa import ConfigError

__all__ = ["ETHERNET_MODULE", "RGMII_PADS", "SIMULATED_PADS", "generate_ethernet"]

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


def generate_ethernet(
    ethernet: BoardEthernet, chip: FpgaChip, *, clock_hz: int, simulated: bool = False
) -> str:
    """Have LiteEth write a board's core, module :data:`ETHERNET_MODULE`; takes some seconds.

    Equal calls give equal text.

    Parameters
    ----------
    ethernet : BoardEthernet
        The board on the network.
    chip : FpgaChip
        The FPGA whose pins the transceiver is at, an ECP5.
    clock_hz : int
        Clock of the gateware, at least 31.25 MHz, at which it takes all that a gigabit brings.
    simulated : bool
        Put :data:`SIMULATED_PADS` in place of :data:`RGMII_PADS`.

    Raises
    ------
    ConfigError
        If the clock is too slow.
    SummandError
        If LiteEth is not installed, or cannot make it.
    """
    if clock_hz < _LEAST_HZ:
        raise ConfigError(
            f"clock_hz must be at least {_LEAST_HZ}, not {clock_hz}: the core could not keep up "
            f"with a gigabit"
        )
    return generated(
        _GENERATOR,
        {
            "name": ETHERNET_MODULE,
            "device": chip.part.name,
            "simulated": simulated,
            "clock_hz": clock_hz,
            "ip_address": ethernet.ip_address,
            "mac_address": int(ethernet.mac_address.replace(":", ""), 16),
            "port": ethernet.port,
            "tx_delay_s": ethernet.tx_delay_ns * 1e-9,
            "rx_delay_s": ethernet.rx_delay_ns * 1e-9,
        },
        needs=("migen", "litex", "liteeth"),
        what="a board's Ethernet",
        failure="LiteEth cannot make the core",
    )
