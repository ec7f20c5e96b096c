"""The IP block's ports, and the bus interfaces that they make up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from summand.rtl.feeds.block import AxiBlock
from summand.rtl.memory.axi.bus import AxiConfig
from summand.rtl.registers import ADDRESS_BITS

__all__ = [
    "CLOCK",
    "IP_MODULE",
    "MEMORY",
    "PLAYED_IP_MODULE",
    "REGISTERS",
    "RESET",
    "BusInterface",
    "BusKind",
    "IpPort",
    "interfaces",
    "ip_module",
]

#: The wrapper's Verilog module, and the IP block's name.
IP_MODULE = "summand_ip"
#: The same of an engine with a memory; drivers tell by it which of the two a design has.
PLAYED_IP_MODULE = "summand_played_ip"

#: The interfaces of memory mapped buses: registers, and the memory of an engine that has one.
REGISTERS, MEMORY = "s_axil", "m_axi"
CLOCK, RESET = "aclk", "aresetn"


@dataclass(frozen=True, kw_only=True)
class IpPort:
    """A port of the IP block.

    Parameters
    ----------
    name : str
        In Verilog.
    logical : str
        What its interface calls it.
    width : int
        Bits.
    direction : str
        ``in`` or ``out``.
    wrapped : bool
        The wrapper alone has it, not the engine: an output is all ones, an input is not looked at.
    default : int, optional
        Of an input that may be left open.
    """

    name: str
    logical: str
    width: int
    direction: Literal["in", "out"]
    wrapped: bool = False
    default: int | None = None


@dataclass(frozen=True, kw_only=True)
class BusKind:
    """What Vivado calls a kind of bus: ``vendor:library:name:version``."""

    vendor: str = "xilinx.com"
    library: str = "interface"
    name: str
    version: str = "1.0"

    @property
    def signals(self) -> str:
        """Name of the abstraction, which has the signals."""
        return f"{self.name}_rtl"

    def __str__(self) -> str:
        return f"{self.vendor}:{self.library}:{self.name}:{self.version}"


@dataclass(frozen=True, kw_only=True)
class BusInterface:
    """Ports that belong together.

    Parameters
    ----------
    name : str
        The interface's.
    kind : BusKind
        Which bus it is.
    mode : str
        ``slave`` or ``master``.
    ports : tuple of IpPort
        Its ports.
    parameters : mapping of str to str
        What Vivado is told of it.
    """

    name: str
    kind: BusKind
    mode: Literal["slave", "master"]
    ports: tuple[IpPort, ...]
    parameters: Mapping[str, str]


_STREAM = BusKind(name="axis")
_MAPPED = BusKind(name="aximm")

#: The wrapper's own ports: name, width (None is a bit for each byte of a beat), direction.
_WRAPPED: tuple[tuple[str, int | None, Literal["in", "out"]], ...] = (
    ("s_axis_tkeep", None, "in"),
    ("m_axis_tkeep", None, "out"),
    ("s_axil_awprot", 3, "in"),
    ("s_axil_arprot", 3, "in"),
)


def ip_module(block: AxiBlock) -> str:
    """Return the name of the wrapper's Verilog module, which is the IP block's."""
    return PLAYED_IP_MODULE if block.memory_beats else IP_MODULE


def interfaces(block: AxiBlock) -> tuple[BusInterface, ...]:
    """Return an IP block's interfaces: streams, registers, memory if any, clock and reset."""
    ports = _ports(block)
    stream = {
        "TDATA_NUM_BYTES": str(block.config.beat_bytes),
        "TDEST_WIDTH": "0",
        "TID_WIDTH": "0",
        "TUSER_WIDTH": "0",
        "HAS_TREADY": "1",
        "HAS_TSTRB": "0",
        "HAS_TKEEP": "1",
        "HAS_TLAST": "1",
    }
    registers = {
        "PROTOCOL": "AXI4LITE",
        "DATA_WIDTH": "32",
        "ADDR_WIDTH": str(ADDRESS_BITS),
        "READ_WRITE_MODE": "READ_WRITE",
    }
    buses = [
        BusInterface(
            name="s_axis", kind=_STREAM, mode="slave", ports=ports["s_axis"], parameters=stream
        ),
        BusInterface(
            name="m_axis", kind=_STREAM, mode="master", ports=ports["m_axis"], parameters=stream
        ),
        BusInterface(
            name=REGISTERS,
            kind=_MAPPED,
            mode="slave",
            ports=ports[REGISTERS],
            parameters=registers,
        ),
    ]
    if block.bus:
        buses.append(
            BusInterface(
                name=MEMORY,
                kind=_MAPPED,
                mode="master",
                ports=ports[MEMORY],
                parameters=_memory(block.bus),
            )
        )
    associated = {
        "ASSOCIATED_BUSIF": ":".join(bus.name for bus in buses),
        "ASSOCIATED_RESET": RESET,
    }
    return (
        *buses,
        BusInterface(
            name=CLOCK,
            kind=BusKind(library="signal", name="clock"),
            mode="slave",
            ports=(IpPort(name=CLOCK, logical="CLK", width=1, direction="in"),),
            parameters=associated,
        ),
        BusInterface(
            name=RESET,
            kind=BusKind(library="signal", name="reset"),
            mode="slave",
            ports=(IpPort(name=RESET, logical="RST", width=1, direction="in"),),
            parameters={"POLARITY": "ACTIVE_LOW"},
        ),
    )


def _memory(bus: AxiConfig) -> dict[str, str]:
    """Return what Vivado is told of the bus to the memory."""
    absent = ("ID_WIDTH", *(f"{channel}USER_WIDTH" for channel in ("AW", "W", "B", "AR", "R")))
    has = {"BURST": 1, "CACHE": 1, "PROT": 1, "WSTRB": 1, "BRESP": 1, "RRESP": 1}
    has |= dict.fromkeys(("LOCK", "QOS", "REGION"), 0)
    return {
        "PROTOCOL": "AXI4",
        "DATA_WIDTH": str(bus.stream_bits),
        "ADDR_WIDTH": str(bus.address_bits),
        "READ_WRITE_MODE": "READ_WRITE",
        "MAX_BURST_LENGTH": str(bus.burst_beats),
        "NUM_READ_OUTSTANDING": str(bus.bursts),
        "NUM_WRITE_OUTSTANDING": str(bus.bursts),
        "SUPPORTS_NARROW_BURST": "0",
        **dict.fromkeys(absent, "0"),
        **{f"HAS_{name}": str(there) for name, there in has.items()},
    }


def _ports(block: AxiBlock) -> dict[str, tuple[IpPort, ...]]:
    """Return the ports of each bus, the engine's and the wrapper's."""
    found: dict[str, list[IpPort]] = {"s_axis": [], "m_axis": [], REGISTERS: [], MEMORY: []}
    for name, member in block.ports.items():
        if name in (CLOCK, RESET):
            continue
        bus, logical = _split(name)
        found[bus].append(
            IpPort(
                name=name,
                logical=logical,
                width=Shape.cast(member.shape).width,
                direction="in" if member.flow == In else "out",
                default=0 if name == "s_axis_tlast" else None,
            )
        )
    for name, width, direction in _WRAPPED:
        bus, logical = _split(name)
        found[bus].append(
            IpPort(
                name=name,
                logical=logical,
                width=width or block.config.beat_bytes,
                direction=direction,
                wrapped=True,
                default=0 if direction == "in" else None,
            )
        )
    return {bus: tuple(ports) for bus, ports in found.items()}


def _split(name: str) -> tuple[str, str]:
    """Return the bus that a port belongs to, and what the bus calls it."""
    bus, _, logical = name.rpartition("_")
    return bus, logical.upper()
