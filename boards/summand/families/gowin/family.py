"""The Gowin family: counted by Yosys, not placed and routed.

All are counted as a GW2A. Yosys takes the same cells for a GW1N. It does for a GW5A too, but for
multiplications: it knows no DSP block there, and makes them of look-up tables. A GW5A has blocks of
27 x 18 bits, each of which stands here for a multiplier of 18 x 18, or for two of 9 x 9.
"""

from pathlib import Path

from summand.families.base import FpgaFamily, ModelledCells
from summand.families.cells import CellPatterns
from summand.families.memories import InferredMemories
from summand.families.multipliers import MultiplierMap
from summand.rtl.technology import Technology

__all__ = ["GOWIN"]

_HERE = Path(__file__).parent

#: Bits of a word and words of a simple dual-port block RAM, of SDPX9B or SDPB.
_BLOCK_RAM_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))

GOWIN = FpgaFamily(
    name="gowin",
    title="Gowin GW1N, GW2A, GW5A",
    maker_tool="Gowin EDA",
    technology=Technology.GENERIC,
    synthesis="synth_gowin -family gw2a",
    cells=CellPatterns(
        # A LUT RAM fills four look-up tables, however few bits of it are used, and its write side
        # takes the place of two. Wider multiplexers come with the look-up tables they join.
        luts={r"LUT[1-4]": 1, "ALU": 1, r"RAM16SDP[124]": 6},
        ffs={r"DFF\w*": 1},
        lut_rams={r"RAM16SDP[124]": 1},
        block_rams={r"(SDPB|SDPX9B|DPB|DPX9B|SP|SPX9)": 1},
        dsps={"MULT18X18": 1, "MULT9X9": 0.5, "MULT36X36": 4},
    ),
    modelled=ModelledCells(
        # With the costs that Yosys's files have of RAM16SDP4 and block RAMs (lutrams.txt,
        # brams.txt).
        memories=InferredMemories(((16, 4, 1),), 4, ((1, 128, _BLOCK_RAM_SHAPES),)),
        ring_bits=4,
        # DSP_?_MINWIDTH of synth_gowin: MULT9X9 from 4 x 4 bits on, MULT18X18 from 10 x 4.
        multipliers=MultiplierMap(narrow=4, product=1, half=9),
        runs=_HERE / "runs.jsonl",
        model=_HERE / "model.json",
    ),
)
