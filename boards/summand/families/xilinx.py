"""Xilinx 7 series and UltraScale+: counted by Yosys, not placed and routed."""

from pathlib import Path

from summand.families.base import FpgaFamily, ModelledCells
from summand.families.cells import CellPatterns
from summand.families.memories import InferredMemories
from summand.families.multipliers import MultiplierMap
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
}
_SHIFT_REGISTERS = {r"SRL(16E|C32E)": 1}


def _cells(dsp: str) -> CellPatterns:
    return CellPatterns(
        # CARRY cells hold a chain's sums themselves.
        luts={r"LUT[1-6]": 1, "INV": 1, **_LUT_RAM, **_SHIFT_REGISTERS},
        ffs={r"FD[RSCP]E(_1)?": 1},
        lut_rams=_LUT_RAM,
        block_rams={r"RAMB36E\d": 1, r"RAMB18E\d": 0.5},
        dsps={dsp: 1},
    )


#: Simple dual-port memories: half and whole block RAMs, with the costs that Yosys's files have of
#: them (brams_xc4v.txt).
_BLOCK_RAMS = (
    (0.5, 129, ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))),
    (1, 257, ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384))),
)


def _modelled(
    folder: str, lut_shapes: tuple[tuple[int, int, int], ...], lut_cost: int
) -> ModelledCells:
    here = Path(__file__).parent / folder
    return ModelledCells(
        memories=InferredMemories(lut_shapes, lut_cost, _BLOCK_RAMS),
        ring_bits=lut_shapes[0][1],
        multipliers=MultiplierMap(narrow=2, product=9),  # DSP_?_MINWIDTH of synth_xilinx
        runs=here / "runs.jsonl",
        model=here / "model.json",
    )


XILINX7 = FpgaFamily(
    name="xilinx7",
    title="Xilinx 7 series",
    maker_tool="Vivado",
    technology=Technology.GENERIC,
    synthesis="synth_xilinx -flatten -family xc7",
    cells=_cells("DSP48E1"),
    # RAM32M and RAM64M (lutrams_xc5v.txt).
    modelled=_modelled("xilinx7", ((32, 6, 4), (64, 3, 4)), 8),
)

ULTRASCALE_PLUS = FpgaFamily(
    name="ultrascale+",
    title="Xilinx UltraScale+",
    maker_tool="Vivado",
    technology=Technology.GENERIC,
    synthesis="synth_xilinx -flatten -family xcup",
    cells=_cells("DSP48E2"),
    # RAM32M16 and RAM64M8 (lutrams_xcu.txt).
    modelled=_modelled("ultrascale_plus", ((32, 14, 8), (64, 7, 8)), 16),
)
