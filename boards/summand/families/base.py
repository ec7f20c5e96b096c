"""The record of a family of FPGAs, as the rest of Summand reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from summand.families.cells import CellPatterns
from summand.families.flow import PlaceFlow
from summand.families.memories import MemoryMap
from summand.families.multipliers import MultiplierMap
from summand.families.parts import FpgaChip
from summand.rtl.technology import Technology

__all__ = ["FpgaFamily", "ModelledCells"]


@dataclass(frozen=True, kw_only=True)
class ModelledCells:
    """A family whose resources are modelled: the sizes of its cells, and its stored figures.

    Parameters
    ----------
    memories : MemoryMap
        What a memory becomes.
    ring_bits : int
        Bits of a word of a LUT RAM of 16 words; of those in the ring of segments, each reader has a
        copy, without the ones whose bits it does not read.
    multipliers : MultiplierMap
        Which products are made in multipliers.
    runs : Path
        Stored runs, which ``python -m summand.synth.sweep`` makes.
    model : Path
        Coefficients, which ``python -m summand.synth.fit`` fits to the runs.
    """

    memories: MemoryMap
    ring_bits: int
    multipliers: MultiplierMap
    runs: Path
    model: Path


@dataclass(frozen=True, kw_only=True)
class FpgaFamily:
    """A family of FPGAs.

    ``name`` to ``cells`` are enough to count the cells of an engine by Yosys. ``chips`` and
    ``flow`` add place and route; ``pll`` and ``constraints`` add boards; ``modelled`` adds
    estimates without any tool.

    Parameters
    ----------
    name : str
        As the command line knows it.
    title : str
        As people know it.
    maker_tool : str
        The maker's tool, which takes generated Verilog where Summand makes no design.
    technology : Technology
        Whose primitives the family's Verilog names, unless others are asked for.
    synthesis : str
        Yosys's synthesis command, without the top's name.
    cells : CellPatterns
        Which of Yosys's cells count as what.
    chips : tuple of FpgaChip
        Those that engines are placed for where no board is named. The first is the default, and
        the model's clock is of its speed grade.
    flow : PlaceFlow or None
        Place and route; None where cells are counted only.
    placed : mapping of str to str
        nextpnr's name of each kind of cell, by the kind's.
    pll : callable or None
        ``pll(input_hz=..., output_hz=...)`` returns an Amaranth component with the members
        ``i``, ``o`` and ``locked``, one bit each; raises :class:`~summand.isa.ConfigError`
        where no PLL makes that frequency.
    constraints : str
        Suffix of the file of pins and clocks that Amaranth's platform writes; empty where Summand
        makes no whole designs.
    modelled : ModelledCells or None
        What the model of resources needs.
    """

    name: str
    title: str
    maker_tool: str
    technology: Technology
    synthesis: str
    cells: CellPatterns
    chips: tuple[FpgaChip, ...] = ()
    flow: PlaceFlow | None = None
    placed: Mapping[str, str] = field(default_factory=dict)
    pll: Callable[..., Any] | None = None
    constraints: str = ""
    modelled: ModelledCells | None = None
