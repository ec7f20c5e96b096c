import re
from types import SimpleNamespace

import pytest
from amaranth import *
from amaranth.lib import io

from summand.boards.dram.controller import MODULE
from summand.boards.dram.gateware import LiteDram
from summand.boards.dram.pads import request_pads
from summand.boards.library import packaged_boards
from summand.isa import ConfigError

from .phy_model import controller

BOARDS = {name: b for name, b in packaged_boards().items() if b.memory.dram is not None}


class Top(Elaboratable):
    """A board's memory at its pads, with nobody to use it."""

    def __init__(self, board):
        self.board = board

    def elaborate(self, platform):
        m = Module()
        board = self.board
        clock_pin = platform.request(board.designed().clock, dir="-")
        m.submodules.clock = clock = io.Buffer(io.Direction.Input, clock_pin)
        pads = request_pads(platform, board.memory.dram)
        m.submodules.dram = dram = LiteDram(controller(), pads=pads)
        m.d.comb += dram.clk.eq(clock.i)
        return m


@pytest.mark.needs("amaranth-boards")
@pytest.mark.parametrize(
    ("name", "pins", "absent"),
    [
        # Lines of addresses and banks, data, masks, strobes, clock and its enable, and commands.
        ("ecpix5-85f", 15 + 3 + 16 + 2 + 2 + 2 + 3 + 1, ("cs_n", "reset_n")),
        ("ulx3s-85f", 13 + 2 + 16 + 2 + 2 + 4, ("dqs_p", "odt", "reset_n")),
    ],
)
def test_the_memory_is_at_its_pins(name, pins, absent):
    board = BOARDS[name]
    plan = board.platform().prepare(Top(board), name="top", emit_src=False, debug_verilog=True)
    sites = re.findall(r'LOCATE COMP "(?:ddr3|sdram)_0__\S+" SITE "(\w+)"', plan.files["top.lpf"])
    assert len(sites) == len(set(sites)) == pins
    instance = plan.files["top.debug.v"].partition(f"{MODULE} ")[2].partition(");\n")[0]
    joined = set(re.findall(r"\.dram_(\w+)\(", instance))
    assert joined.isdisjoint(absent)
    assert {"a", "ba", "dq", "dm", "clk_p", "cke", "ras_n", "cas_n", "we_n"} <= joined


def test_a_pad_that_is_missing_is_named():
    pin = SimpleNamespace(io="pad")
    pins = SimpleNamespace(**dict.fromkeys(("a", "ba", "dqm", "clk", "clk_en"), pin))
    platform = SimpleNamespace(request=lambda name, dir: pins)
    dram = BOARDS["ulx3s-85f"].memory.dram
    assert dram
    with pytest.raises(ConfigError, match="the platform's resource sdram has no dq"):
        request_pads(platform, dram)
