"""A block design for a board with a processor system, as a Tcl script of Vivado's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from summand.boards.board import Board
from summand.boards.vivado.component import REGISTER_BLOCK, VLNV
from summand.isa import ConfigError, EngineConfig

__all__ = ["DESIGN_FILE", "design"]

DESIGN_FILE = "summand_design.tcl"


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
    control, memory : str
        Buses to the registers, and from the DMA engine to the memory.
    clocks : tuple of str
        Pins that take these buses' clocks.
    settings : mapping of str to str
        Properties that open them.
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
    memory: str
    clocks: tuple[str, ...]
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
        memory="S_AXI_HP0",
        clocks=("M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK"),
        settings={
            "PCW_USE_M_AXI_GP0": "1",
            "PCW_USE_S_AXI_HP0": "1",
            "PCW_S_AXI_HP0_DATA_WIDTH": "64",
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
        memory="S_AXI_HP0_FPD",
        clocks=("maxihpm0_fpd_aclk", "saxihp0_fpd_aclk"),
        settings={
            "PSU__USE__M_AXI_GP0": "1",
            "PSU__USE__M_AXI_GP1": "0",
            "PSU__USE__M_AXI_GP2": "0",
            "PSU__USE__S_AXI_GP2": "1",
            "PSU__SAXIGP2__DATA_WIDTH": "128",
            "PSU__FPGA_PL0_ENABLE": "1",
        },
        external=(),
        address_bits=40,
        registers=0xA000_0000,
    ),
}

#: From the engine's registers to those of the DMA engine.
_DMA_OFFSET = 0x1_0000


def design(board: Board, config: EngineConfig) -> str:
    """Return the script that makes a project of an engine's IP block for ``board``.

    Raises
    ------
    ConfigError
        If the board's file does not say how.
    """
    project = board.vivado
    if project is None:
        raise ConfigError(
            f"the file of {board.name} has no [vivado], which names part and processor system"
        )
    processor = _PROCESSORS[project.processor]
    settings = {**processor.settings, processor.frequency: f"{board.clock.engine_hz / 1e6:g}"}
    values = {
        "TITLE": board.title,
        "DIGEST": config.digest,
        "FILE": DESIGN_FILE,
        "PART": project.part,
        "BOARD_PART": project.board_part,
        "PROCESSOR": processor.ip,
        "SETTINGS": "\n".join(f"  CONFIG.{k} {{{v}}}" for k, v in settings.items()),
        "EXTERNAL": " ".join(processor.external),
        "VLNV": VLNV,
        "ADDRESS_BITS": str(processor.address_bits),
        "STREAM_BITS": str(config.stream_bits),
        "CLOCK": processor.clock,
        "PROCESSOR_CLOCKS": " ".join(f"ps/{pin}" for pin in processor.clocks),
        "RESET": processor.reset,
        "CONTROL": processor.control,
        "MEMORY": processor.memory,
        "ENGINE_AT": f"{processor.registers:#010x}",
        "DMA_AT": f"{processor.registers + _DMA_OFFSET:#010x}",
        "REGISTER_BLOCK": REGISTER_BLOCK,
    }
    text = Path(__file__).with_name("design.tcl").read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], text)
