"""``summand flow``: stages, what is kept, and what is done again."""

import json
from pathlib import Path

import pytest

from summand.cli import main
from summand.cli.flow import Stage, run_stage
from summand.isa import SummandError


@pytest.mark.slow
@pytest.mark.needs("verilator")
def test_from_a_model_and_a_board_to_text(llama_folder, tmp_path, capfd):
    out = tmp_path / "out"
    arguments = ["flow", str(llama_folder), "--board", "ulx3s-85f", "-o", str(out)]
    arguments += ["--prefill", "16", "--decode", "8", "--prompt", "a b", "--tokens", "3", "--json"]
    assert main(arguments) == 0
    said = capfd.readouterr()
    record = json.loads(said.out)
    assert record["exact"]
    assert "5 of 5" in said.err
    assert (out / "verilog" / "summand_top.lpf").exists()
    assert (out / "explore" / "report.html").exists()

    assert main(arguments) == 0
    said = capfd.readouterr()
    assert said.err.count("as before") == 5
    again = json.loads(said.out)
    assert {**again, "seconds": 0} == {**record, "seconds": 0}

    (out / "explore" / "engine.json").write_text("{")  # all behind it are done again
    assert main(arguments) == 2
    said = capfd.readouterr()
    assert said.err.count("as before") == 1
    assert "generate failed with status 2" in said.err


def stage(folder: Path, arguments: tuple[str, ...] = ("boards",)) -> Stage:
    return Stage(name="boards", title="", arguments=arguments, inputs=(folder / "in",))


def test_a_stage_is_kept_until_an_input_changes(tmp_path):
    source = tmp_path / "in"
    source.write_text("1")
    first, done = run_stage(stage(tmp_path), tmp_path)
    assert done
    assert len(first["boards"]) > 10
    assert run_stage(stage(tmp_path), tmp_path) == (first, False)
    source.write_text("2")
    assert run_stage(stage(tmp_path), tmp_path) == (first, True)
    (tmp_path / "boards.json").write_text('{"key": ')  # cut short
    assert run_stage(stage(tmp_path), tmp_path) == (first, True)


def test_a_folder_is_an_input(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    before = stage(tmp_path).key()
    (source / "a").write_text("1")
    assert stage(tmp_path).key() != before


def test_a_stage_that_fails_is_named(tmp_path, capfd):
    with pytest.raises(SummandError, match="boards failed with status 2: summand boards nope"):
        run_stage(stage(tmp_path, arguments=("boards", "nope")), tmp_path)
    assert "no board is called 'nope'" in capfd.readouterr().err
    assert not (tmp_path / "boards.json").exists()
