"""What memories become: against what Yosys and nextpnr made of stored engines, and by hand."""

import pytest

from summand.families.registry import FAMILIES
from summand.families.xilinx import XILINX7
from summand.isa.memory import EngineMemory, MemoryKind
from summand.synth.estimate import modelled_cells
from summand.synth.fit import inexact
from summand.synth.runs import load_runs


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES.values() if f.modelled], ids=lambda family: family.name
)
def test_formulas_are_exact_on_every_stored_run(family):
    cells = modelled_cells(family)
    assert inexact(load_runs(cells.runs), cells) == []


@pytest.mark.parametrize(
    ("width", "depth", "luts", "blocks"),
    [
        (10, 16, 8, 0),  # two RAM32M
        (22, 64, 32, 0),  # eight RAM64M
        (66, 16, 44, 0),
        (16, 128, 48, 0),  # cheaper than half a block
        (32, 128, 0, 0.5),
        (64, 256, 0, 1),  # one of 72 bits, not two halves of 36
        (128, 256, 0, 2),
        (32, 1024, 0, 1),
        (32, 4096, 0, 4),
    ],
)
def test_the_cheapest_cells_are_taken(width, depth, luts, blocks):
    memory = EngineMemory(name="m", kind=MemoryKind.BLOCK, width=width, depth=depth)
    assert modelled_cells(XILINX7).memories.cells(memory) == (luts, blocks)
