"""Xilinx 7 series and UltraScale+: counted by Yosys, not placed and routed."""

from summand.families.base import FpgaFamily
from summand.families.cells import CellPatterns
from summand.rtl.technology import Technology

__all__ = ["ULTRASCALE_PLUS", "XILINX7"]

# RAM32M and RAM64M fill a slice of four look-up tables, RAM32M16 and RAM64M8 one of eight.
_LUT_RAM = {
    r"RAM(32|64)X1S": 1,
    r"RAM(32|64)X1D": 2,
    r"RAM(32|64)M": 4,
    r"RAM(32M16|64M8)": 8,
    r"RAM128X1S": 2,
    r"RAM128X1D": 4,
    r"RAM256X1S": 4,
    r"SRL(16E|C32E)": 1,
}


def _cells(dsp: str) -> CellPatterns:
    return CellPatterns(
        luts={r"LUT[1-6]": 1, "INV": 1, **_LUT_RAM},  # CARRY cells hold a chain's sums themselves
        ffs={r"FD[RSCP]E(_1)?": 1},
        lut_rams=_LUT_RAM,
        block_rams={r"RAMB36E\d": 1, r"RAMB18E\d": 0.5},
        dsps={dsp: 1},
    )


XILINX7 = FpgaFamily(
    name="xilinx7",
    title="Xilinx 7 series",
    maker_tool="Vivado",
    technology=Technology.GENERIC,
    synthesis="synth_xilinx -flatten -family xc7",
    cells=_cells("DSP48E1"),
)

ULTRASCALE_PLUS = FpgaFamily(
    name="ultrascale+",
    title="Xilinx UltraScale+",
    maker_tool="Vivado",
    technology=Technology.GENERIC,
    synthesis="synth_xilinx -flatten -family xcup",
    cells=_cells("DSP48E2"),
)
