import dataclasses
import importlib.util
import re

import pytest

from summand.boards.dram.controller import MODULE, generate_controller
from summand.boards.library import packaged_boards
from summand.isa import SummandError

BOARDS = {name: b for name, b in packaged_boards().items() if b.memory.dram is not None}


def generate(name, *, simulated=False, **changes):
    board = BOARDS[name]
    assert board.memory.dram
    dram = dataclasses.replace(board.memory.dram, **changes)
    return generate_controller(
        dram, board.chip, oscillator_hz=board.clock.oscillator_hz, simulated=simulated
    )


@pytest.mark.needs("litedram")
@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("name", BOARDS)
def test_equal_memories_give_equal_text(name, simulated):
    made, again = (generate(name, simulated=simulated) for _ in range(2))
    assert made.verilog == again.verilog
    assert f"module {MODULE} (" in made.verilog
    assigned = re.findall(r"^assign .*", made.verilog, re.MULTILINE)
    assert len(assigned) == len(set(assigned))
    for trace in ("//", "/*", "litex", "LiteX", "Date", "202"):
        assert trace not in made.verilog.replace("'d202", ""), trace


@pytest.mark.needs("litedram")
@pytest.mark.parametrize(
    ("name", "address_bits", "word_bits", "phases", "pads"),
    [("ecpix5-85f", 25, 128, 2, 2), ("ulx3s-85f", 24, 16, 1, 1)],
)
def test_what_is_known_of_a_controller(name, address_bits, word_bits, phases, pads):
    made = generate(name)
    native = made.native
    assert (native.address_bits, native.word_bits) == (address_bits, word_bits)
    assert (made.phases, made.phase_bits) == (phases, word_bits // phases)
    assert made.dram.bytes == 2**address_bits * word_bits // 8
    assert made.verilog.count("inout") == pads  # data, and the strobes of DDR3
    ends = {register.offset + 4 * register.words for register in made.registers.values()}
    offsets = {register.offset for register in made.registers.values()}
    assert len(offsets) == len(ends) == len(made.registers)  # none lies in another
    assert ("phy_dly_sel" in made.registers) == (name == "ecpix5-85f")
    assert any(not step.control and step.value == 15 for step in made.sequence)


@pytest.mark.needs("litedram")
def test_times_and_clock_reach_the_controller():
    made = generate("ecpix5-85f")
    dram = made.dram
    slow = dataclasses.replace(dram.timings, trfc=dataclasses.replace(dram.timings.trfc, ns=900.0))
    assert generate("ecpix5-85f", timings=slow).verilog != made.verilog
    assert generate("ecpix5-85f", clock_hz=50_000_000).verilog != made.verilog


@pytest.mark.needs("litedram")
def test_what_litedram_refuses_is_told():
    with pytest.raises(SummandError, match=r"LiteDRAM cannot make .*; check .*\[memory.dram\]"):
        generate("ecpix5-85f", clock_hz=1_000_000)


def test_without_litedram_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SummandError, match=r"needs migen; pip install .*\[litex\]"):
        generate("ecpix5-85f")
