"""Boards as data, and the files for their tools."""

import subprocess
import sys

import pytest

from summand.boards.board import BOARDS, Board, find_board
from summand.boards.files import board_files
from summand.boards.link.uart import Baud
from summand.isa import ConfigError, EngineConfig

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())

SMALL = EngineConfig(cols=4, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16)


@boards
def test_a_board_is_consistent(board: Board):
    assert find_board(board.name) is board
    assert board.family.parts[board.chip.part.name] is board.chip.part
    Baud(clock_hz=board.clock_hz, rate=board.baud)


@pytest.mark.needs("amaranth-boards")
@boards
def test_a_board_agrees_with_its_platform(board: Board):
    platform = board.platform()
    assert platform.device == board.chip.part.name
    assert platform.package.replace("BG", "CABGA") == board.chip.package
    assert int(platform.speed) == board.chip.speed_grade
    assert platform.default_clk == board.pins.clock
    assert platform.default_clk_frequency == board.oscillator_hz
    assert platform.default_rst == board.pins.reset


@pytest.mark.needs("amaranth-boards")
@boards
def test_files_for_any_engine_and_no_tools(board: Board):
    """Twice the same bytes, with the engine that was asked for."""
    files = board_files(board, SMALL, board.family.technology)
    assert files == board_files(board, SMALL, board.family.technology)
    assert files.keys() == {"summand_board.v", "summand_top.v", "summand_top.lpf"}
    assert f"config {SMALL.digest} for ecp5" in files["summand_board.v"].splitlines()[0]
    assert ("EHXPLLL" in files["summand_top.v"]) == (board.clock_hz != board.oscillator_hz)
    pins = files["summand_top.lpf"]
    assert pins.count("LOCATE") == pins.count("IOBUF") == 3 + bool(board.pins.reset)


def test_the_engines_memories_fit():
    """Half of the block RAM stays free for extensions."""
    for board in BOARDS.values():
        engine, half = board.engine, board.chip.part.block_rams * board.chip.part.block_ram_bits / 2
        accumulators = engine.rows * engine.cols * engine.acc_depth * engine.acc_bits
        activations = engine.rows * engine.act_depth * engine.depth * engine.elem_bits
        assert accumulators + activations < half


def test_the_engines_hold_the_models_that_the_readme_makes():
    """Low-rank summands, and groups of 32 with scales of 4 bits."""
    for board in BOARDS.values():
        assert board.engine.shift == 4
        assert 32 % board.engine.depth == 0
        assert board.engine.scale_bits >= 4


def test_an_unknown_board_is_refused():
    with pytest.raises(ConfigError, match="'de10'; there are ecpix5-85f, ulx3s-85f"):
        find_board("de10")


def test_boards_are_read_without_heavy_imports():
    check = (
        "import summand.boards.board, summand.boards.link.host, sys; "
        "sys.exit(any(m in sys.modules for m in ('amaranth', 'amaranth_boards', 'torch')))"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
