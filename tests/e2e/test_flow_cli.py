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
    arguments += ["--features", "gh", "--max-lut", "9000", "--calibration-tokens", "512"]
    assert main(arguments) == 0
    said = capfd.readouterr()
    record = json.loads(said.out)
    assert record["exact"]
    assert "5 of 5" in said.err
    assert (out / "verilog" / "summand_top.lpf").exists()
    explored = json.loads((out / "explore" / "explore.json").read_text())
    assert explored["allowed"].keys() == {"g", "h"}
    page = (out / "explore" / "report.html").read_text()
    assert "Features that they might have: group scales, half-steps." in page
    assert explored["limits"]["luts"] == 9000
    assert explored["chosen"]["with"].keys() <= {"g", "h"}

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


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--features", "gx"), "features must be letters of g (group scales), h (half-steps), n"),
        (("--max-lut", "0"), "--max-lut"),
        (("--board", "nope"), "no board is called 'nope'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(tmp_path, capfd, arguments, what):
    out = tmp_path / "out"
    assert main(["flow", "smollm2", "--board", "kv260", "-o", str(out), *arguments]) == 2
    assert what in " ".join(capfd.readouterr().err.split())
    assert not out.exists()


@pytest.mark.parametrize(("text", "status"), [("b c", 0), ("b d", 1)])
def test_texts_that_differ_are_a_failure(tmp_path, monkeypatch, capfd, text, status):
    results = {
        "explore": {
            "chosen": {
                "digest": "0",
                "measured": {"folder": str(tmp_path)},
                "projected": {"tokens_s": 1.0},
            },
            "measured": {"table": []},
        },
        "generate": {},
        "verify": {"exact": True},
        "golden": {"text": "b c"},
        "sim": {"text": text, "cycles_per_token": 1},
    }
    monkeypatch.setattr("summand.cli.flow.run_stage", lambda s, _: (results[s.name], True))
    assert main(["flow", "smollm2", "--board", "kv260", "-o", str(tmp_path / "out")]) == status
    said = capfd.readouterr().out
    assert f"wrote {'NOT ' if status else ''}the same" in said


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
