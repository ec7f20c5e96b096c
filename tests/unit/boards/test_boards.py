"""Boards as data, and the files for their tools."""

import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from summand.boards.board import Board
from summand.boards.files import board_files
from summand.boards.library import find_board, packaged_boards
from summand.boards.link.host import stream_rate
from summand.boards.link.uart import Baud
from summand.cli import main
from summand.families.parts import find_part
from summand.isa import ConfigError, EngineConfig
from summand.rtl.technology import Technology

ROOT = Path(__file__).resolve().parents[3]

boards = pytest.mark.parametrize("board", packaged_boards().values(), ids=packaged_boards().keys())
designed = pytest.mark.parametrize(
    "board",
    [board for board in packaged_boards().values() if not board.lacking],
    ids=lambda board: board.name,
)

SMALL = EngineConfig(cols=4, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16)

#: A whole file, of a board that is none of Summand's.
MINE = """
title = "Mine"
[chip]
part = "LFE5U-85F"
package = "CABGA381"
speed_grade = 6
[clock]
oscillator_hz = 25_000_000
engine_hz = 50_000_000
source = "mine"
[memory]
kind = "none"
bytes = 1
controller = "none"
peak_bytes_s = 2e8
reached_bytes_s = 1e8
source = "mine"
[link]
kind = "uart"
baud = 115_200
round_trip_s = 0.001
source = "mine"
[engine]
rows = 2
[top]
platform = "amaranth_boards.ulx3s:ULX3S_85F_Platform"
clock = "clk25"
loader = "--board ulx3s"
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


@boards
def test_a_board_is_consistent(board: Board):
    assert find_board(board.name) is board
    assert find_part(board.chip.part.name) == board.chip.part
    assert board.memory.reached_bytes_s <= board.memory.peak_bytes_s
    if board.link.baud:
        Baud(clock_hz=board.clock.engine_hz, rate=board.link.baud)


@pytest.mark.needs("amaranth-boards")
@designed
def test_a_board_agrees_with_its_platform(board: Board):
    platform, top = board.platform(), board.designed()
    assert platform.device == board.chip.part.name
    assert platform.package.replace("BG", "CABGA") == board.chip.package
    assert int(platform.speed) == board.chip.speed_grade
    assert platform.default_clk == top.clock
    assert platform.default_clk_frequency == board.clock.oscillator_hz
    assert platform.default_rst == top.reset


@pytest.mark.needs("amaranth-boards")
@designed
def test_files_for_any_engine_and_no_tools(board: Board):
    """Twice the same bytes, with the engine that was asked for."""
    files = board_files(board, SMALL, board.family.technology)
    assert files == board_files(board, SMALL, board.family.technology)
    assert files.keys() == {"summand_board.v", "summand_top.v", "summand_top.lpf"}
    assert f"config {SMALL.digest} for ecp5" in files["summand_board.v"].splitlines()[0]
    assert ("EHXPLLL" in files["summand_top.v"]) == (
        board.clock.engine_hz != board.clock.oscillator_hz
    )
    pins = files["summand_top.lpf"]
    assert pins.count("LOCATE") == pins.count("IOBUF") == 3 + bool(board.designed().reset)


def test_the_engines_memories_fit():
    """Some of the block RAM stays free for a memory controller."""
    for board in packaged_boards().values():
        engine, part = board.engine, board.chip.part
        accumulators = engine.rows * engine.cols * engine.acc_depth * engine.acc_bits
        activations = engine.rows * engine.act_depth * engine.depth * engine.elem_bits
        assert accumulators + activations < 0.6 * part.block_rams * part.block_ram_bits


def test_the_engines_hold_the_models_that_the_readme_makes():
    """Low-rank summands, and groups of 32 with scales of 4 bits."""
    for board in packaged_boards().values():
        assert board.engine.shift == 4
        assert 32 % board.engine.depth == 0
        assert board.engine.scale_bits >= 4


def test_an_unknown_board_is_refused():
    with pytest.raises(ConfigError, match="'de10'; give a TOML file, or one of arty-a7-100t, "):
        find_board("de10")


def test_a_file_is_a_board(mine):
    board = find_board(str(mine))
    assert (board.name, board.title, board.engine) == ("mine", "Mine", EngineConfig(rows=2))
    assert board.link.bytes_s == stream_rate(115_200)
    assert board.lacking is None


def test_a_link_that_is_not_serial_leaves_the_engine(mine, tmp_path, capsys):
    link = 'kind = "ethernet"\nreached_bytes_s = 1e8'
    mine.write_text(MINE.replace('kind = "uart"\nbaud = 115_200', link))
    board = find_board(str(mine))
    assert "that of mine is ethernet: there is the engine alone" in str(board.lacking)
    with pytest.raises(ConfigError, match="with a link of kind uart, or of kind ethernet with"):
        board_files(board, board.engine, Technology.GENERIC)
    out = tmp_path / "out"
    assert main(["generate", "--board", str(mine), "-o", str(out)]) == 0
    assert "there is the engine alone" in capsys.readouterr().out
    assert (out / "summand.v").exists()
    assert not (out / "summand_top.v").exists()


def test_a_part_of_ones_own(mine):
    part = "name='A', family='xilinx7', luts=1, ffs=1, lut_rams=1, block_rams=1, dsps=0, plls=0"
    table = "{" + part.replace("=", " = ") + ", block_ram_bits = 36864, source = 'mine'}"
    mine.write_text(MINE.replace('"LFE5U-85F"', table))
    board = find_board(str(mine))
    assert (board.chip.part.name, board.family.name) == ("A", "xilinx7")
    assert "no top and no bitstream for Xilinx 7 series" in str(board.lacking)
    with pytest.raises(ConfigError, match="mine: Summand makes no top .* into Vivado"):
        board.platform()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("bytes = 1", "bytes = 0", r"mine\.toml: memory\.bytes is 0: input should be greater"),
        ("bytes = 1", "bytes = '1'", r"memory\.bytes is '1': input should be a valid integer"),
        ("bytes = 1\n", "", r"memory\.bytes is missing"),
        ("bytes = 1", "bites = 1", r"memory\.bites is not known; there are bytes, controller, "),
        ("title", "titel", "title is missing; titel is not known; there are chip, clock, engine"),
        ("= 1e8", "= 3e8", r"memory: reached_bytes_s \(3e\+08\) must be at most peak_bytes_s"),
        ("= 1e8", "= inf", r"memory\.reached_bytes_s is inf: input should be a finite number"),
        ("baud = 115_200", "", "link: baud is of kind uart, and needed there"),
        ('"uart"', '"usb"', "link.kind is 'usb': input should be 'uart', 'ethernet'"),
        ("rows = 2", "rows = 65", "engine: rows must be 1 to 64, not 65"),
        ("rows = 2", "row = 2", "engine: an engine configuration has no row"),
        ("LFE5U-85F", "LFE5U-86F", "chip.part: no part is called 'LFE5U-86F'; there are GW2A"),
        ("amaranth_boards.ulx3s", "os", "top: platform must be amaranth_boards.MODULE:CLASS"),
        ("title", "=", "is no TOML file: Invalid statement"),
    ],
)
def test_bad_files(mine, old, new, said):
    mine.write_text(MINE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=said):
        find_board(str(mine))


def test_a_family_that_there_is_not(mine):
    table = "{name='A', family='ice40', luts=1, ffs=1, lut_rams=1, block_rams=1, dsps=0, plls=0"
    mine.write_text(MINE.replace('"LFE5U-85F"', table + ", block_ram_bits=1, source='mine'}"))
    with pytest.raises(ConfigError, match="no family is called 'ice40'; there are ecp5"):
        find_board(str(mine))


def test_a_board_without_a_top_has_no_design(mine):
    mine.write_text(MINE[: MINE.index("[top]")])
    board = find_board(str(mine))
    with pytest.raises(ConfigError, match=r"mine: the file of mine has no \[top\]"):
        board_files(board, SMALL, board.family.technology)


@pytest.mark.needs("amaranth-boards")
def test_a_platform_that_there_is_not(mine):
    mine.write_text(MINE.replace("ULX3S_85F_Platform", "Other"))
    with pytest.raises(ConfigError, match=r"no platform amaranth_boards\.ulx3s:Other"):
        find_board(str(mine)).platform()


def test_a_wheel_holds_every_board():
    held = [
        Path(file.distribution_path).stem
        for file in WheelBuilder(str(ROOT)).recurse_included_files()
        if file.distribution_path.startswith("summand/boards/library/")
    ]
    assert sorted(held) == sorted(packaged_boards())


def test_boards_are_read_without_heavy_imports():
    check = (
        "import summand.boards.library, summand.boards.link.host, sys; "
        "sys.exit(any(m in sys.modules for m in ('amaranth', 'amaranth_boards', 'torch')))"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
