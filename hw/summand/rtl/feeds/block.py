"""An engine as an IP block: which Verilog it is, with a memory for weights or without."""

from dataclasses import dataclass

from amaranth.lib import wiring

from summand.isa import ConfigError, EngineConfig
from summand.isa.registers import PLAYER_REGISTERS, REGISTERS, Register
from summand.rtl.feeds.axi import (
    MODULE,
    PLAYED_MODULE,
    AxiEngine,
    AxiPlayedEngine,
    axi_members,
    memory_members,
)
from summand.rtl.memory.axi.bus import AxiConfig
from summand.rtl.memory.port import ADDRESS_BITS
from summand.rtl.registers import identity

__all__ = ["AxiBlock"]


@dataclass(frozen=True, kw_only=True)
class AxiBlock:
    """An engine as an IP block.

    Parameters
    ----------
    config : EngineConfig
        The engine's.
    memory_beats : int
        Size of a memory on AXI4, whose player takes items; 0: none, the engine's stream.
    """

    config: EngineConfig
    memory_beats: int = 0

    def __post_init__(self):
        if not 0 <= self.memory_beats < 1 << ADDRESS_BITS:
            raise ConfigError(
                f"memory_beats must be 0 to 2**{ADDRESS_BITS} - 1, not {self.memory_beats}; "
                f"a beat has {self.config.beat_bytes} bytes"
            )

    @property
    def module(self) -> str:
        """Name of the Verilog's top module."""
        return PLAYED_MODULE if self.memory_beats else MODULE

    @property
    def bus(self) -> AxiConfig | None:
        """How the memory is reached, if there is one."""
        return AxiConfig(stream_bits=self.config.stream_bits) if self.memory_beats else None

    @property
    def ports(self) -> dict[str, wiring.Member]:
        """The Verilog's ports."""
        return axi_members(self.config) | (memory_members(self.bus) if self.bus else {})

    @property
    def registers(self) -> tuple[Register, ...]:
        """The register map."""
        return (*REGISTERS, *(PLAYER_REGISTERS if self.memory_beats else ()))

    @property
    def constants(self) -> dict[str, int]:
        """The registers that always read the same, and their values."""
        beats = {"memory_beats": self.memory_beats} if self.memory_beats else {}
        return identity(self.config) | beats

    def top(self) -> AxiEngine | AxiPlayedEngine:
        """Return the gateware, to be emitted once."""
        if self.bus is None:
            return AxiEngine(self.config)
        return AxiPlayedEngine(self.config, memory_beats=self.memory_beats, bus=self.bus)
