"""Devices: what an FPGA holds."""

from dataclasses import dataclass

__all__ = ["ECP5_85F", "ECP5_85F_5G", "PARTS", "Part"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """An FPGA.

    Parameters
    ----------
    name : str
        The maker's, without package and speed.
    family : str
        As Yosys and nextpnr call it.
    luts : int
        Four-input look-up tables.
    ffs : int
        Flip-flops.
    lut_rams : int
        16 x 4-bit memories that can be made of look-up tables.
    block_rams : int
        Block memories of ``block_ram_bits``.
    block_ram_bits : int
        Bits of one, parity included.
    dsps : int
        18 x 18-bit multipliers.
    plls : int
        Phase-locked loops.
    source : str
        Where the figures are from.
    """

    name: str
    family: str
    luts: int
    ffs: int
    lut_rams: int
    block_rams: int
    block_ram_bits: int
    dsps: int
    plls: int
    source: str


_ECP5 = (
    "Lattice FPGA-DS-02012 (ECP5 and ECP5-5G), table 1.1; cells as counted by nextpnr-ecp5 "
    "(TRELLIS_COMB, TRELLIS_FF, TRELLIS_RAMW, DP16KD, MULT18X18D, EHXPLLL)"
)


def _ecp5_85(name: str) -> Part:
    return Part(
        name=name,
        family="ecp5",
        luts=83640,
        ffs=83640,
        lut_rams=10455,
        block_rams=208,
        block_ram_bits=18432,
        dsps=156,
        plls=4,
        source=_ECP5,
    )


ECP5_85F = _ecp5_85("LFE5U-85F")
ECP5_85F_5G = _ecp5_85("LFE5UM5G-85F")

PARTS = {part.name: part for part in (ECP5_85F, ECP5_85F_5G)}
