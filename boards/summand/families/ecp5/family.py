"""The ECP5 family: the record that the rest of Summand reads."""

from pathlib import Path
from typing import Any

from summand.families.base import FpgaFamily, ModelledCells
from summand.families.cells import CellPatterns
from summand.families.ecp5.flow import Ecp5Flow
from summand.families.memories import NamedMemories
from summand.families.multipliers import MultiplierMap
from summand.families.parts import FpgaChip, find_part
from summand.rtl.technology import ECP5_BLOCK_RAM_SHAPES, Technology

__all__ = ["ECP5"]

_HERE = Path(__file__).parent


def _pll(*, input_hz: int, output_hz: int) -> Any:
    from summand.families.ecp5.pll import Ecp5Pll, PllSettings  # here: Amaranth

    return Ecp5Pll(PllSettings.find(input_hz=input_hz, output_hz=output_hz))


ECP5 = FpgaFamily(
    name="ecp5",
    title="Lattice ECP5",
    maker_tool="Lattice Diamond",
    technology=Technology.ECP5,
    synthesis="synth_ecp5",
    # A carry cell is two look-up tables, a LUT RAM of four bits four. Wider multiplexers
    # (PFUMX, L6MUX21) come with the look-up tables they join.
    cells=CellPatterns(
        luts={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
        ffs={"TRELLIS_FF": 1},
        lut_rams={"TRELLIS_DPR16X4": 1},
        block_rams={"DP16KD": 1},
        dsps={"MULT18X18D": 1},
    ),
    chips=(
        FpgaChip(part=find_part("LFE5U-85F"), package="CABGA381", speed_grade=6),
        FpgaChip(part=find_part("LFE5UM5G-85F"), package="CABGA381", speed_grade=8),
    ),
    flow=Ecp5Flow(),
    placed={
        "luts": "TRELLIS_COMB",
        "ffs": "TRELLIS_FF",
        "lut_rams": "TRELLIS_RAMW",
        "block_rams": "DP16KD",
        "dsps": "MULT18X18D",
    },
    pll=_pll,
    constraints=".lpf",
    modelled=ModelledCells(
        memories=NamedMemories(lut_bits=4, block_shapes=ECP5_BLOCK_RAM_SHAPES),
        ring_bits=4,
        multipliers=MultiplierMap(narrow=1, product=1),
        runs=_HERE / "runs.jsonl",
        model=_HERE / "model.json",
    ),
)
