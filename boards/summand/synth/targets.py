"""What can be synthesised for: a family's Yosys command, and which of its cells are what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from summand.isa import ConfigError

__all__ = [
    "CELL_KINDS",
    "ECP5",
    "TARGETS",
    "CellCounts",
    "CellKind",
    "Target",
    "find_target",
    "nextpnr_device",
]


@dataclass(frozen=True, kw_only=True)
class CellCounts:
    """Cells of a synthesised design, by kind.

    Parameters
    ----------
    luts : int
        Look-up tables, those that carry chains and LUT RAM take included.
    ffs : int
        Flip-flops.
    lut_rams : int
        Memories made of look-up tables, in the family's own cells.
    block_rams : float
        Block memories; halves where the family halves them.
    dsps : int
        Multipliers.
    """

    luts: int
    ffs: int
    lut_rams: int
    block_rams: float
    dsps: int


@dataclass(frozen=True, kw_only=True)
class CellKind:
    """A kind of cell, of which an FPGA has a number.

    Parameters
    ----------
    name : str
        The attribute that counts it, of :class:`CellCounts`, of
        :class:`~summand.boards.parts.Part` and of :class:`~summand.synth.model.Resources`.
    title : str
        As people know it, many of them.
    nextpnr : str
        What nextpnr-ecp5 calls it.
    remedy : str
        What an engine that takes fewer of it has.
    """

    name: str
    title: str
    nextpnr: str
    remedy: str


#: In the order in which they are reported.
CELL_KINDS = (
    CellKind(
        name="luts",
        title="look-up tables",
        nextpnr="TRELLIS_COMB",
        remedy="fewer rows or cols, or less depth",
    ),
    CellKind(
        name="ffs",
        title="flip-flops",
        nextpnr="TRELLIS_FF",
        remedy="fewer rows or cols",
    ),
    CellKind(
        name="lut_rams",
        title="LUT RAMs",
        nextpnr="TRELLIS_RAMW",
        remedy="fewer rows or cols, or less depth",
    ),
    CellKind(
        name="block_rams",
        title="block RAMs",
        nextpnr="DP16KD",
        remedy="less acc_depth or act_depth, or fewer rows",
    ),
    CellKind(
        name="dsps",
        title="multipliers",
        nextpnr="MULT18X18D",
        remedy="fewer rows",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """An FPGA family as Yosys knows it.

    Each mapping gives a pattern of cell types and what one such cell counts for.

    Parameters
    ----------
    name : str
        As the command line knows it.
    title : str
        As people know it.
    command : str
        Yosys's synthesis command, without the top's name.
    luts, ffs, lut_rams, block_rams, dsps : mapping of str to float
        What counts.
    """

    name: str
    title: str
    command: str
    luts: Mapping[str, float]
    ffs: Mapping[str, float]
    lut_rams: Mapping[str, float]
    block_rams: Mapping[str, float]
    dsps: Mapping[str, float]

    def count(self, cells: Mapping[str, int]) -> CellCounts:
        """Count a design's cells, given how many there are of each type."""

        def total(weights: Mapping[str, float]) -> float:
            return sum(
                weight * number
                for pattern, weight in weights.items()
                for cell, number in cells.items()
                if re.fullmatch(pattern, cell)
            )

        return CellCounts(
            luts=round(total(self.luts)),
            ffs=round(total(self.ffs)),
            lut_rams=round(total(self.lut_rams)),
            block_rams=total(self.block_rams),
            dsps=round(total(self.dsps)),
        )


ECP5 = Target(
    name="ecp5",
    title="Lattice ECP5",
    command="synth_ecp5",
    # A carry cell is two look-up tables, a LUT RAM of four bits four. Wider multiplexers
    # (PFUMX, L6MUX21) come with the look-up tables they join.
    luts={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
    ffs={"TRELLIS_FF": 1},
    lut_rams={"TRELLIS_DPR16X4": 1},
    block_rams={"DP16KD": 1},
    dsps={"MULT18X18D": 1},
)

# RAM32M and RAM64M fill a slice of four look-up tables, RAM32M16 and RAM64M8 one of eight.
_XILINX_LUT_RAM = {
    r"RAM(32|64)X1S": 1,
    r"RAM(32|64)X1D": 2,
    r"RAM(32|64)M": 4,
    r"RAM(32M16|64M8)": 8,
    r"RAM128X1S": 2,
    r"RAM128X1D": 4,
    r"RAM256X1S": 4,
    r"SRL(16E|C32E)": 1,
}
_XILINX_BLOCK_RAM = {r"RAMB36E\d": 1, r"RAMB18E\d": 0.5}

TARGETS = {
    target.name: target
    for target in (
        ECP5,
        Target(
            name="xilinx7",
            title="Xilinx 7 series",
            command="synth_xilinx -flatten -family xc7",
            # A carry chain's sums are in its own cells.
            luts={r"LUT[1-6]": 1, "INV": 1, **_XILINX_LUT_RAM},
            ffs={r"FD[RSCP]E(_1)?": 1},
            lut_rams=_XILINX_LUT_RAM,
            block_rams=_XILINX_BLOCK_RAM,
            dsps={"DSP48E1": 1},
        ),
        Target(
            name="ultrascale+",
            title="Xilinx UltraScale+",
            command="synth_xilinx -flatten -family xcup",
            luts={r"LUT[1-6]": 1, "INV": 1, **_XILINX_LUT_RAM},
            ffs={r"FD[RSCP]E(_1)?": 1},
            lut_rams=_XILINX_LUT_RAM,
            block_rams=_XILINX_BLOCK_RAM,
            dsps={"DSP48E2": 1},
        ),
        Target(
            name="gowin",
            title="Gowin GW1N, GW2A",
            command="synth_gowin",
            luts={r"LUT[1-4]": 1, "ALU": 1, r"RAM16SDP4": 4, r"RAM16SDP2": 2, r"RAM16SDP1": 1},
            ffs={r"DFF\w*": 1},
            lut_rams={r"RAM16SDP4": 1, r"RAM16SDP2": 1, r"RAM16SDP1": 1},
            block_rams={r"(SDPB|SDPX9B|DPB|DPX9B|SP|SPX9)": 1},
            dsps={r"MULT18X18": 1, r"MULT9X9": 0.5, r"MULT36X36": 4},
        ),
    )
}


def find_target(name: str) -> Target:
    """Return the target called ``name``; raises :class:`ConfigError` that lists those there are."""
    if name not in TARGETS:
        raise ConfigError(f"no target is called {name!r}; there are {', '.join(TARGETS)}")
    return TARGETS[name]


def nextpnr_device(part: str) -> str:
    """Return nextpnr-ecp5's option for a Lattice part such as ``LFE5U-85F``."""
    match = re.fullmatch(r"LFE5(U|UM|UM5G)-(12|25|45|85)F", part)
    if match is None or (match[1] != "U" and match[2] == "12"):
        raise ConfigError(
            f"nextpnr-ecp5 knows no part {part!r}; there are LFE5U-12F, LFE5U-25F, LFE5U-45F, "
            "LFE5U-85F, and LFE5UM and LFE5UM5G from 25F"
        )
    kind = {"U": "", "UM": "um-", "UM5G": "um5g-"}[match[1]]
    return f"--{kind}{match[2]}k"
