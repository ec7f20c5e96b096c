"""FPGAs: what a part holds, and how it is packaged."""

import functools
from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from summand.families.toml import RECORD, Count, Some, Text, parse, read_toml
from summand.isa import ConfigError

__all__ = ["FpgaChip", "FpgaPart", "find_part", "packaged_parts"]


@dataclass(frozen=True, kw_only=True, config=RECORD)
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

    name: Text
    family: Text
    luts: Some
    ffs: Some
    lut_rams: Some
    block_rams: Some
    block_ram_bits: Some
    dsps: Count
    plls: Count
    source: Text


@functools.cache
def packaged_parts() -> Mapping[str, FpgaPart]:
    """Return the parts that come with Summand, by name."""
    file = files("summand.families") / "parts.toml"
    return {
        name: parse(FpgaPart, {"name": name, **table}, f"{file}, {name}")
        for name, table in read_toml(file).items()
    }


def find_part(name: str) -> FpgaPart:
    """Return the part called ``name``; raises :class:`ConfigError` that lists those there are."""
    known = packaged_parts()
    if name not in known:
        raise ConfigError(f"no part is called {name!r}; there are {', '.join(sorted(known))}")
    return known[name]


def _named(part: Any) -> Any:
    """Return the part that a name stands for; anything else as it is."""
    return find_part(part) if isinstance(part, str) else part


@dataclass(frozen=True, kw_only=True, config=RECORD)
class FpgaChip:
    """A part in its package, of its speed grade: what is soldered to a board.

    Parameters
    ----------
    part : FpgaPart or str
        What it holds; the name of one that comes with Summand stands for it.
    package : str
        As the family's place and route calls it.
    speed_grade : int
        The maker's number.
    """

    part: Annotated[FpgaPart, BeforeValidator(_named)]
    package: Text
    speed_grade: Count

    def __str__(self) -> str:
        return f"{self.part.name}-{self.speed_grade}"
