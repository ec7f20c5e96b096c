"""FPGAs: what a part holds, and how it is packaged."""

from dataclasses import dataclass

__all__ = ["FpgaChip", "FpgaPart"]


@dataclass(frozen=True, kw_only=True)
class FpgaPart:
    """An FPGA.

    Parameters
    ----------
    name : str
        The maker's, without package and speed.
    family : str
        The family's name, as :func:`~summand.families.registry.find_family` knows it.
    luts : int
        Look-up tables.
    ffs : int
        Flip-flops.
    lut_rams : int
        Memories that can be made of look-up tables, in the family's own cells.
    block_rams : int
        Block memories of ``block_ram_bits``.
    block_ram_bits : int
        Bits of one, parity included.
    dsps : int
        Multipliers.
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


@dataclass(frozen=True, kw_only=True)
class FpgaChip:
    """A part in its package, of its speed grade: what is soldered to a board.

    Parameters
    ----------
    part : FpgaPart
        What it holds.
    package : str
        As the family's place and route calls it.
    speed_grade : int
        The maker's number.
    """

    part: FpgaPart
    package: str
    speed_grade: int

    def __str__(self) -> str:
        return f"{self.part.name}-{self.speed_grade}"
