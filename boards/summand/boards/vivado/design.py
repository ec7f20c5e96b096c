"""A block design for a board with a processor system, as a Tcl script of Vivado's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from summand.boards.board import Board
from summand.boards.vivado.component import REGISTER_BLOCK, vlnv
from summand.boards.vivado.interfaces import MEMORY
from summand.isa import ConfigError
from summand.rtl.feeds.block import AxiBlock

__all__ = ["DESIGN_FILE", "design"]

DESIGN_FILE = "summand_design.tcl"


@dataclass(frozen=True, kw_only=True)
class _MemoryPort:
    """A port of a processor system through which logic reaches its memory.

    Parameters
    ----------
    bus, clock : str
        Its pins.
    settings : mapping of str to str
        Properties that open it.
    """

    bus: str
    clock: str
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Processor:
    """A processor system, as block designs see it.

    Parameters
    ----------
    ip : str
        Its IP block.
    clock, reset : str
        Pins that give a clock, and a reset of it.
    frequency : str
        The property that sets the clock, in MHz.
    control, control_clock : str
        The bus to the registers, and its clock's pin.
    memory : _MemoryPort
        Of the DMA engine.
    weights : _MemoryPort
        Of an engine whose weights are in the memory: one that the memory's controller serves by
        another port of its own than ``memory``.
    settings : mapping of str to str
        Properties that open the bus to the registers, and clock and reset.
    external : tuple of str
        Buses that leave the chip.
    address_bits : int
        Of the memory.
    registers : int
        Where the registers begin in the processor's addresses.
    """

    ip: str
    clock: str
    reset: str
    frequency: str
    control: str
    control_clock: str
    memory: _MemoryPort
    weights: _MemoryPort
    settings: Mapping[str, str]
    external: tuple[str, ...]
    address_bits: int
    registers: int


_PROCESSORS = {
    "zynq-7000": _Processor(
        ip="processing_system7",
        clock="FCLK_CLK0",
        reset="FCLK_RESET0_N",
        frequency="PCW_FPGA0_PERIPHERAL_FREQMHZ",
        control="M_AXI_GP0",
        control_clock="M_AXI_GP0_ACLK",
        memory=_MemoryPort(
            bus="S_AXI_HP0",
            clock="S_AXI_HP0_ACLK",
            settings={"PCW_USE_S_AXI_HP0": "1", "PCW_S_AXI_HP0_DATA_WIDTH": "64"},
        ),
        weights=_MemoryPort(
            bus="S_AXI_HP2",
            clock="S_AXI_HP2_ACLK",
            settings={"PCW_USE_S_AXI_HP2": "1", "PCW_S_AXI_HP2_DATA_WIDTH": "64"},
        ),
        settings={
            "PCW_USE_M_AXI_GP0": "1",
            "PCW_EN_CLK0_PORT": "1",
            "PCW_EN_RST0_PORT": "1",
        },
        external=("DDR", "FIXED_IO"),
        address_bits=32,
        registers=0x4000_0000,
    ),
    "zynq-ultrascale+": _Processor(
        ip="zynq_ultra_ps_e",
        clock="pl_clk0",
        reset="pl_resetn0",
        frequency="PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ",
        control="M_AXI_HPM0_FPD",
        control_clock="maxihpm0_fpd_aclk",
        memory=_MemoryPort(
            bus="S_AXI_HP0_FPD",
            clock="saxihp0_fpd_aclk",
            settings={"PSU__USE__S_AXI_GP2": "1", "PSU__SAXIGP2__DATA_WIDTH": "128"},
        ),
        weights=_MemoryPort(
            bus="S_AXI_HP1_FPD",
            clock="saxihp1_fpd_aclk",
            settings={"PSU__USE__S_AXI_GP3": "1", "PSU__SAXIGP3__DATA_WIDTH": "128"},
        ),
        settings={
            "PSU__USE__M_AXI_GP0": "1",
            "PSU__USE__M_AXI_GP1": "0",
            "PSU__USE__M_AXI_GP2": "0",
            "PSU__FPGA_PL0_ENABLE": "1",
        },
        external=(),
        address_bits=40,
        registers=0xA000_0000,
    ),
}

#: From the engine's registers to those of the DMA engine.
_DMA_OFFSET = 0x1_0000


def design(board: Board, block: AxiBlock) -> str:
    """Return the script that makes a project of an engine's IP block for ``board``.

    Raises
    ------
    ConfigError
        If the board's file does not say how, or has less memory than the engine is to have.
    """
    project = board.vivado
    if project is None:
        raise ConfigError(
            f"the file of {board.name} has no [vivado], which names part and processor system"
        )
    if (size := block.memory_beats * block.config.beat_bytes) > board.memory.bytes:
        raise ConfigError(
            f"{board.name} has {board.memory.bytes:,} bytes of memory, for weights and all that "
            f"its processor runs; a memory of {size:,} bytes does not fit"
        )
    processor = _PROCESSORS[project.processor]
    ports = (processor.memory, *((processor.weights,) if block.memory_beats else ()))
    settings = {**processor.settings, processor.frequency: f"{board.clock.engine_hz / 1e6:g}"}
    for port in ports:
        settings |= port.settings
    clocks = (processor.control_clock, *(port.clock for port in ports))
    values = {
        "TITLE": board.title,
        "DIGEST": block.config.digest,
        "FILE": DESIGN_FILE,
        "PART": project.part,
        "BOARD_PART": project.board_part,
        "PROCESSOR": processor.ip,
        "SETTINGS": "\n".join(f"  CONFIG.{k} {{{v}}}" for k, v in settings.items()),
        "EXTERNAL": " ".join(processor.external),
        "VLNV": vlnv(block),
        "ADDRESS_BITS": str(processor.address_bits),
        "STREAM_BITS": str(block.config.stream_bits),
        "CLOCK": processor.clock,
        "PROCESSOR_CLOCKS": " ".join(f"ps/{pin}" for pin in clocks),
        "RESET": processor.reset,
        "CONTROL": processor.control,
        "MEMORY": processor.memory.bus,
        "WEIGHTS": processor.weights.bus,
        "MASTER": MEMORY,
        "ENGINE_AT": f"{processor.registers:#010x}",
        "DMA_AT": f"{processor.registers + _DMA_OFFSET:#010x}",
        "REGISTER_BLOCK": REGISTER_BLOCK,
    }
    text = _script("design.tcl").replace(
        "@PLAYER@\n", _script("player.tcl") if block.memory_beats else ""
    )
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], text)


def _script(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
