"""What Gowin's memories and products become, against what Yosys makes of them."""

from typing import Any

import pytest
from amaranth import *
from amaranth.lib import wiring

from summand.families.gowin.family import GOWIN
from summand.isa import EngineConfig
from summand.isa.memory import EngineMemory, MemoryKind
from summand.isa.products import Product
from summand.rtl.emit import emit_verilog
from summand.rtl.multiply import Multiplier
from summand.rtl.ram import BlockRam
from summand.synth.estimate import modelled_cells
from summand.synth.flow import synthesise

CELLS = modelled_cells(GOWIN)
TOP = "parts"

#: Bits of a word and words, LUT RAMs and block RAMs.
MEMORIES = {
    (16, 64): (16, 0),
    (22, 64): (24, 0),
    (24, 64): (0, 1),  # dearer in 24 LUT RAMs and what chooses among them
    (4, 256): (16, 0),
    (66, 32): (34, 0),
    (130, 64): (0, 4),  # words of 36 bits
    (32, 1024): (0, 2),
    (10, 2048): (0, 2),
}
#: Bits of the operands, and multipliers.
PRODUCTS = {
    (32, 16): 2,
    (20, 16): 1,  # three bits by 17, a sign included, are too narrow
    (18, 3): 1,  # a sign makes them four
    (18, 2): 0,
    (19, 3): 0,  # of the lower part neither operand is signed
    (22, 4): 1.5,
    (9, 8): 0.5,
    (9, 9): 1,
}


class Parts(wiring.Component):
    """The memories and multipliers, each with ports of its own."""

    def __init__(self):
        self._parts: dict[str, Any] = {
            **{f"ram_{w}x{d}": BlockRam(width=w, depth=d) for w, d in MEMORIES},
            **{f"mul_{a}x{b}": Multiplier(signed(a), unsigned(b)) for a, b in PRODUCTS},
        }
        super().__init__({n: wiring.Out(part.signature) for n, part in self._parts.items()})

    def elaborate(self, platform):
        m = Module()

        for name, part in self._parts.items():
            m.submodules[name] = part
            wiring.connect(m, wiring.flipped(getattr(self, name)), part)

        return m


@pytest.fixture(scope="module")
def verilog():
    return emit_verilog(Parts(), name=TOP, config=EngineConfig())


def counted(verilog, family, folder):
    return synthesise({f"{TOP}.v": verilog}, TOP, folder, family=family).counts


@pytest.mark.parametrize(("size", "cells"), MEMORIES.items())
def test_memories_become(size, cells):
    width, depth = size
    memory = EngineMemory(name="m", kind=MemoryKind.BLOCK, width=width, depth=depth)
    assert CELLS.memories.cells(memory) == cells


@pytest.mark.parametrize(("bits", "multipliers"), PRODUCTS.items())
def test_products_become(bits, multipliers):
    parts = Product(a_bits=bits[0], b_bits=bits[1]).parts
    assert sum(CELLS.multipliers.multipliers(part) for part in parts) == multipliers


@pytest.mark.needs("yosys")
def test_yosys_makes_them_so(verilog, tmp_path):
    found = counted(verilog, GOWIN, tmp_path)
    assert found.lut_rams == sum(luts for luts, _ in MEMORIES.values())
    assert found.block_rams == sum(blocks for _, blocks in MEMORIES.values())
    assert found.dsps == sum(PRODUCTS.values())
