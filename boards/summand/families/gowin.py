"""Gowin GW1N and GW2A: counted by Yosys, not placed and routed."""

from summand.families.base import FpgaFamily
from summand.families.cells import CellPatterns
from summand.rtl.technology import Technology

__all__ = ["GOWIN"]

GOWIN = FpgaFamily(
    name="gowin",
    title="Gowin GW1N, GW2A",
    maker_tool="Gowin EDA",
    technology=Technology.GENERIC,
    synthesis="synth_gowin",
    cells=CellPatterns(
        luts={r"LUT[1-4]": 1, "ALU": 1, r"RAM16SDP4": 4, r"RAM16SDP2": 2, r"RAM16SDP1": 1},
        ffs={r"DFF\w*": 1},
        lut_rams={r"RAM16SDP4": 1, r"RAM16SDP2": 1, r"RAM16SDP1": 1},
        block_rams={r"(SDPB|SDPX9B|DPB|DPX9B|SP|SPX9)": 1},
        dsps={r"MULT18X18": 1, r"MULT9X9": 0.5, r"MULT36X36": 4},
    ),
)
