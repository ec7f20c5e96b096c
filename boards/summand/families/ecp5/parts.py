"""ECP5 parts."""

from summand.families.parts import FpgaPart

__all__ = ["LFE5UM5G_85F", "LFE5U_85F"]

_SOURCE = (
    "Lattice FPGA-DS-02012 (ECP5 and ECP5-5G), table 1.1; cells as counted by nextpnr-ecp5 "
    "(TRELLIS_COMB, TRELLIS_FF, TRELLIS_RAMW, DP16KD, MULT18X18D, EHXPLLL)"
)


def _of_85k(name: str) -> FpgaPart:
    return FpgaPart(
        name=name,
        family="ecp5",
        luts=83640,
        ffs=83640,
        lut_rams=10455,
        block_rams=208,
        block_ram_bits=18432,
        dsps=156,
        plls=4,
        source=_SOURCE,
    )


LFE5U_85F = _of_85k("LFE5U-85F")
LFE5UM5G_85F = _of_85k("LFE5UM5G-85F")
