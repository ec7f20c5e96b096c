"""What Verilog is made for: parts with primitives that no tool infers as well as we name them."""

import enum
from pathlib import Path

__all__ = ["ECP5_BLOCK_RAM_SHAPES", "Technology", "simulation_models"]

#: Bits of a word and words of an ECP5 block RAM. The first kind of word takes both ports' data.
ECP5_BLOCK_RAM_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


class Technology(enum.Enum):
    """Whose primitives the Verilog may name. All technologies' Verilog does the same.

    It is no part of an engine's configuration: streams, results and cycles do not depend on it.
    """

    #: None. Every tool takes it, and infers what it can.
    GENERIC = "generic"
    #: Lattice ECP5: ``DP16KD`` and ``MULT18X18D``, with their own registers.
    ECP5 = "ecp5"


def simulation_models(technology: Technology) -> str:
    """Return Verilog modules that do what the technology's primitives do, as we use them.

    They are our own, and stand in for the primitives in simulation only; a use of a primitive
    that they do not know ends the simulation.
    """
    if technology is Technology.GENERIC:
        return ""
    return (Path(__file__).with_name("models") / f"{technology.value}.v").read_text()
