"""Write LiteEth's core for a board's RGMII transceiver; run as a script, in a process of its own.

Reads a description from standard input and prints Verilog; see :mod:`summand.boards.ethernet.core`.
LiteX and Migen keep state in their modules, log, and warn, none of which reaches the caller.
"""

import json
import logging
import re
import sys
from typing import Any

from liteeth.common import eth_phy_description
from liteeth.core import LiteEthUDPIPCore
from liteeth.phy.ecp5rgmii import LiteEthPHYRGMII
from litex.build.generic_platform import Pins, Subsignal
from litex.build.lattice import LatticePlatform
from litex.build.sim import SimPlatform
from litex.gen import LiteXModule
from litex.soc.interconnect.stream import Buffer, Endpoint
from migen import ClockDomain, ResetSignal
from migen.genlib.resetsync import AsyncResetSynchronizer

#: The core's data path takes a gigabit at a quarter of its clock.
_BITS = 32

_RGMII = {
    "rgmii_clocks": {"tx": 1, "rx": 1},
    "rgmii": {"rst_n": 1, "rx_ctl": 1, "rx_data": 4, "tx_ctl": 1, "tx_data": 4},
}
_SIMULATED = {
    "line_clk": {"": 1},
    "line": {
        f"{way}_{name}": 8 if name == "data" else 1
        for way in ("rx", "tx")
        for name in ("valid", "last", "data")
    },
}
_ENDS = {"ip_address": 32, "src_port": 16, "dst_port": 16}
_WORDS = {"valid": 1, "ready": 1, "last": 1, "data": _BITS}
_PORTS = {
    "clk": {"": 1},
    "rst": {"": 1},
    "source": {**_WORDS, **_ENDS, "error": 1},
    "sink": {**_WORDS, **_ENDS, "last_be": _BITS // 8, "length": 16},
}


def _resource(name: str, parts: dict[str, int]) -> tuple[Any, ...]:
    if "" in parts:
        return (name, 0, Pins(parts[""]))
    return (name, 0, *(Subsignal(part, Pins(width)) for part, width in parts.items()))


class _SimulatedPhy(LiteXModule):
    """Bytes of Ethernet frames, preamble and checksum included, in place of a transceiver."""

    dw = 8

    def __init__(self, platform: Any):
        self.sink, self.source = (Endpoint(eth_phy_description(8)) for _ in range(2))
        self.cd_eth_rx, self.cd_eth_tx = ClockDomain("eth_rx"), ClockDomain("eth_tx")
        clk, rst = platform.request("line_clk"), ResetSignal("sys")
        for domain in (self.cd_eth_rx, self.cd_eth_tx):
            self.comb += domain.clk.eq(clk)
            self.specials += AsyncResetSynchronizer(domain, rst)
        line = platform.request("line")
        for name in ("valid", "last", "data"):
            self.comb += [
                getattr(self.source, name).eq(getattr(line, f"rx_{name}")),
                getattr(line, f"tx_{name}").eq(getattr(self.sink, name)),
            ]
        self.comb += self.sink.ready.eq(1)


class _Core(LiteXModule):
    """Transceiver's interface, MAC, ARP, ping, and one UDP port."""

    def __init__(self, platform: Any, spec: dict[str, Any]):
        line = _SIMULATED if spec["simulated"] else _RGMII
        platform.add_extension([_resource(name, parts) for name, parts in (_PORTS | line).items()])
        self.cd_sys = ClockDomain("sys")
        self.comb += [
            self.cd_sys.clk.eq(platform.request("clk")),
            self.cd_sys.rst.eq(platform.request("rst")),
        ]
        if spec["simulated"]:
            self.phy = _SimulatedPhy(platform)
        else:
            self.phy = LiteEthPHYRGMII(
                platform.request("rgmii_clocks"),
                platform.request("rgmii"),
                tx_delay=spec["tx_delay_s"],
                rx_delay=spec["rx_delay_s"],
            )
        self.core = LiteEthUDPIPCore(
            self.phy,
            mac_address=spec["mac_address"],
            ip_address=spec["ip_address"],
            clk_freq=spec["clock_hz"],
            dw=_BITS,
            with_sys_datapath=True,
        )
        # What headers are checked for reaches the FIFOs to and from the transceiver's clock within
        # a cycle, which is the core's longest way: a buffer in each direction cuts it.
        mac = self.core.mac.core
        for path, place in (mac.rx_datapath, -1), (mac.tx_datapath, 1):
            buffer = Buffer(eth_phy_description(_BITS), pipe_valid=True, pipe_ready=True)
            path.submodules += buffer
            path.pipeline.insert(place, buffer)
        port = self.core.udp.crossbar.get_port(spec["port"], dw=_BITS)
        source, sink = platform.request("source"), platform.request("sink")
        for name in ("valid", "last", "data", *_ENDS):
            self.comb += getattr(source, name).eq(getattr(port.source, name))
        for name in ("valid", "last", "data", "last_be", "length", *_ENDS):
            self.comb += getattr(port.sink, name).eq(getattr(sink, name))
        self.comb += [
            source.error.eq(port.source.error != 0),
            port.source.ready.eq(source.ready),
            sink.ready.eq(port.sink.ready),
        ]


def _verilog(platform: Any, core: Any, name: str) -> str:
    """Return the Verilog, without what LiteX says of the day and of itself."""
    output = platform.get_verilog(core, name=name, regular_comb=False)
    if output.data_files:
        raise ValueError(f"the core has files beside its Verilog: {[*output.data_files]}")
    text = re.sub(r"/\*.*?\*/", "", output.main_source, flags=re.DOTALL)
    text = re.sub(r"\s*//.*", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _lattice(spec: dict[str, Any]) -> Any:
    return LatticePlatform(spec["device"], io=[], toolchain="trellis")


def main() -> None:
    """Answer one description."""
    logging.disable()
    spec = json.load(sys.stdin)
    platform = SimPlatform("", io=[]) if spec["simulated"] else _lattice(spec)
    sys.stdout.write(_verilog(platform, _Core(platform, spec), spec["name"]))


if __name__ == "__main__":
    main()
