"""``summand boards`` and ``summand estimate``, as a user runs them."""

import json
from importlib.resources import files

import pytest

from summand.boards.library import find_board, packaged_boards
from summand.cli import main
from summand.isa import EngineConfig


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(arguments) == status
    shown = capsys.readouterr()
    return shown.err if status == 2 else shown.out


def test_all_boards_are_listed(capsys):
    lines = said(capsys, "boards").splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(packaged_boards())
    found = json.loads(said(capsys, "boards", "--json"))["boards"]
    assert [board["name"] for board in found] == list(packaged_boards())
    assert {board["name"] for board in found if board["bitstream"]} == {"ecpix5-85f", "ulx3s-85f"}


def test_a_board_is_explained_with_its_sources(capsys):
    board = find_board("kv260")
    text = said(capsys, "boards", "kv260")
    for fact in (board.chip.part.source, board.memory.source, board.link.source, "117,120"):
        assert fact in text
    assert "only the engine: take its Verilog into Vivado" in text
    assert "udp:" not in text


def test_where_a_board_is_on_the_network(capsys):
    text = said(capsys, "boards", "ecpix5-85f")
    assert "udp:192.168.1.50:2000 if built with --ethernet, 10:e2:d5:00:00:00: KSZ9031RNX" in text


def test_a_file_wherever_a_name_is(capsys, tmp_path, monkeypatch):
    """A user's own board, outside the package."""
    source = find_board("ulx3s-85f")
    file = files("summand.boards") / "library" / "ulx3s-85f.toml"
    (tmp_path / "mine.toml").write_text(file.read_text().replace(source.title, "Mine"))
    monkeypatch.chdir(tmp_path)
    assert said(capsys, "boards", "mine.toml").startswith("mine: Mine")
    estimated = json.loads(said(capsys, "estimate", "--board", "mine.toml", "--json"))
    assert EngineConfig.from_dict(estimated["config"]) == source.engine
    made = said(capsys, "generate", "--board", "mine.toml", "-o", "out", "--json")
    assert json.loads(made)["board"] == "mine"
    assert (tmp_path / "out" / "summand_top.lpf").exists()


def test_a_board_of_a_counted_family_gets_the_engine_alone(capsys, tmp_path):
    out = tmp_path / "out"
    text = said(capsys, "generate", "--board", "arty-a7-100t", "-o", str(out))
    assert text.splitlines()[-1].startswith("Summand makes no top and no bitstream for Xilinx 7")
    assert (out / "summand.v").exists()
    assert not (out / "summand_top.v").exists()
    error = said(capsys, "build", "--board", "arty-a7-100t", "-o", str(out / "b"), status=2)
    assert "arty-a7-100t: Summand makes no top and no bitstream" in error


def test_an_estimate_by_family_and_by_board(capsys):
    report = json.loads(said(capsys, "estimate", "--config", "rows-4", "--json"))
    assert (report["source"], report["family"], report["part"]) == ("modelled", "ecp5", None)
    assert report["used"]["dsps"] == 2
    text = said(capsys, "estimate", "--config", "rows-4", "--board", "ulx3s-85f")
    assert "of    83,640" in text
    assert "held-out" in text


def test_an_engine_that_does_not_fit(capsys, tmp_path):
    big = tmp_path / "big.json"
    big.write_text(EngineConfig(rows=64).to_json())
    text = said(capsys, "estimate", "--config", str(big), "--board", "ulx3s-85f", status=1)
    assert "it does not fit: too few luts" in text
    report = said(
        capsys, "estimate", "--config", str(big), "--board", "ulx3s-85f", "--json", status=1
    )
    assert "luts" in json.loads(report)["lacking"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "give --config NAME|FILE or --board NAME|FILE"),
        (("--board", "ulx3s-85f", "--family", "gowin"), "ulx3s-85f is no Gowin"),
        (("--config", "rows-4", "--family", "ice40"), "no family is called 'ice40'"),
        (("--config", "operand-4"), "no term for operand_depth (4096)"),
    ],
)
def test_estimates_that_cannot_be_made(capsys, arguments, what):
    assert what in said(capsys, "estimate", *arguments, status=2)
