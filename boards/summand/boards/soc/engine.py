"""The engine as a module of LiteX."""

from pathlib import Path
from typing import Any

from amaranth.lib.wiring import Out
from litex.gen import LiteXModule
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import axi, stream
from migen import ClockSignal, Instance, ResetSignal, Signal

from summand.boards.soc.region import DramRegion
from summand.isa import ConfigError, EngineConfig
from summand.isa.registers import PLAYER_REGISTERS, REGISTERS
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import AxiEngine
from summand.rtl.feeds.native import NativeEngine
from summand.rtl.registers import ADDRESS_BITS
from summand.rtl.technology import Technology

__all__ = ["SummandEngine"]


class SummandEngine(LiteXModule):
    """An engine, its Verilog among the platform's sources; all of it on the clock ``sys``.

    Parameters
    ----------
    platform : GenericPlatform
        The SoC's.
    config : EngineConfig
        The engine's sizes.
    memory : DramRegion, optional
        Gives the engine a player, whose memory that is; ``sink`` takes items then.
    technology : Technology
        Whose primitives the Verilog may name.
    module : str
        Its Verilog's module. Two engines in a SoC need two names.
    folder : str or Path
        Where the Verilog is written.

    Attributes
    ----------
    sink, source : Endpoint of ``data``, ``stream_bits`` wide
        Beats of commands or items, and of packets, whose last beats are marked.
    bus : AXILiteInterface
        The registers.
    registers : tuple of Register
        What they are.

    Raises
    ------
    ConfigError
        If beats are no multiple of the port's words, or the platform has such a module already.
    """

    def __init__(
        self,
        platform: Any,
        config: EngineConfig,
        *,
        memory: DramRegion | None = None,
        technology: Technology = Technology.GENERIC,
        module: str = "summand_engine",
        folder: str | Path = "build/summand",
    ):
        self.config = config
        self.registers = (*REGISTERS, *PLAYER_REGISTERS) if memory else REGISTERS
        self.sink = stream.Endpoint([("data", config.stream_bits)])
        self.source = stream.Endpoint([("data", config.stream_bits)])
        self.bus = axi.AXILiteInterface(data_width=32, address_width=32)

        # # #

        path = (Path(folder) / f"{module}.v").resolve()
        if any(str(path) == source for source, *_ in platform.sources):
            raise ConfigError(
                f"{path} is an engine's of this platform already; give this one another name"
            )
        if memory:
            beats = memory.beats(config)
            top = NativeEngine(config, memory_beats=beats, native=memory.native)
        else:
            top = AxiEngine(config)
        signals = self._signals() | (self._memory(memory) if memory else {})
        ways = {name: "o" if m.flow is Out else "i" for name, m in top.signature.members.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(emit_verilog(top, name=module, config=config, technology=technology))
        platform.add_source(str(path))
        self.specials += Instance(module, **{f"{ways[n]}_{n}": s for n, s in signals.items()})

    def add_registers(self, soc: Any, name: str, origin: int) -> None:
        """Put the registers on a SoC's bus, at the address ``origin``, as a region ``name``.

        Their offsets become constants of the SoC, such as ``SUMMAND_STATUS_OFFSET``.
        """
        region = SoCRegion(origin=origin, size=1 << ADDRESS_BITS, cached=False)
        soc.bus.add_slave(name, self.bus, region)
        for register in self.registers:
            soc.add_constant(f"{name}_{register.name}_offset", register.offset)

    def _signals(self) -> dict[str, Any]:
        """Return what the Verilog's ports are joined to, but for the memory's."""
        found = {"aclk": ClockSignal(), "aresetn": ~ResetSignal()}
        for prefix, end in (("s_axis", self.sink), ("m_axis", self.source)):
            names = {"tdata": end.data, "tvalid": end.valid, "tready": end.ready, "tlast": end.last}
            found |= {f"{prefix}_{name}": signal for name, signal in names.items()}
        channels = {"aw": ("addr",), "w": ("data", "strb"), "b": ("resp",)}
        channels |= {"ar": ("addr",), "r": ("data", "resp")}
        for channel, parts in channels.items():
            for part in ("valid", "ready", *parts):
                signal = getattr(getattr(self.bus, channel), part)
                found[f"s_axil_{channel}{part}"] = (
                    signal[:ADDRESS_BITS] if part == "addr" else signal
                )
        return found

    def _memory(self, memory: DramRegion) -> dict[str, Any]:
        """Return the same for the memory's."""
        port, found = memory.port, {}
        channels = {"cmd": ("ready", "valid", "we"), "rdata": ("ready", "valid", "data")}
        channels |= {"wdata": ("ready", "valid", "we", "data")}
        for channel, parts in channels.items():
            for part in parts:
                found[f"m_native_{channel}_{part}"] = getattr(getattr(port, channel), part)
        address = Signal(port.address_width)
        self.comb += port.cmd.addr.eq(address + memory.first_word)
        return found | {"m_native_cmd_addr": address}
