"""``summand explore``, as a user runs it, on a small model."""

import json
from pathlib import Path

import pytest

from summand.cli import main
from summand.isa import EngineConfig
from summand.report.measured import measured_points

ARGUMENTS = ("--board", "ulx3s-85f", "--prefill", "16", "--decode", "8", "--max-kl", "0.05")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("a b c d e f g h " * 200)
    return path


def explore(model: Path, out: Path, text: Path, *arguments: str) -> int:
    calibration = ("--calibration", str(text), "--calibration-tokens", "512")
    return main(["explore", str(model), "-o", str(out), *calibration, *arguments])


def test_a_search_is_kept_and_repeated(llama_folder, tmp_path, text, capsys):
    out = tmp_path / "out"
    assert explore(llama_folder, out, text, *ARGUMENTS, "--json") == 0
    first = json.loads(capsys.readouterr().out)
    chosen = first["chosen"]
    engine = EngineConfig.from_dict(chosen["engine"])
    assert EngineConfig.load(out / "engine.json") == engine
    assert chosen["loss"] <= 0.05
    assert chosen["cycles"]["source"] == "modelled"
    times = [point["projected"]["total_s"] for point in first["front"]]
    losses = [point["loss"] for point in first["front"]]
    assert times == sorted(times)
    assert losses == sorted(losses, reverse=True)
    assert all(p["modelled"]["luts"] <= 83640 for p in first["front"])
    assert json.loads((out / "explore.json").read_text()) == first
    page = (out / "report.html").read_text()
    assert "ulx3s-85f" in page
    table = (out / "front.md").read_text().splitlines()
    assert sum(line.startswith("|") for line in table) == len(first["front"]) + 2
    assert engine.digest == chosen["digest"]

    (out / "statistics").rename(tmp_path / "moved")  # calibration is not needed again
    assert explore(llama_folder, out, text, *ARGUMENTS, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert not (out / "statistics").exists()
    for name in ("front", "small", "chosen", "features"):
        assert again[name] == first[name]


def test_what_is_chosen_is_made_and_equals_the_prediction(llama_folder, tmp_path, text, capsys):
    out = tmp_path / "out"
    small = ("--max-lut", "3500", "--route", "--json")
    assert explore(llama_folder, out, text, *ARGUMENTS, *small) == 0
    record = json.loads(capsys.readouterr().out)
    rows = {row["what"]: row for row in record["measured"]["table"]}
    assert abs(rows["cycles of a pass that writes"]["off"]) < 0.03  # as results are wide
    assert rows["the same, its results' widths known"]["off"] == 0
    assert rows["block RAMs"]["off"] == rows["multipliers"]["off"] == 0
    assert rows["clock, MHz, of which 25 are needed"]["measured"] > 25
    assert record["measured"]["cells"]["source"] == "measured, placed and routed"
    assert all(phase["law_equal"] for phase in record["measured"]["cycles"]["phases"])


def test_points_of_the_front_are_made_once(llama_folder, tmp_path, text, capsys):
    out = tmp_path / "out"
    arguments = (*ARGUMENTS, "--measure-front", "3")
    assert explore(llama_folder, out, text, *arguments, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    front, chosen = record["front"], record["chosen"]
    assert "measured" not in record  # neither simulated nor synthesised
    made = measured_points(record)
    assert len(made) == 3
    assert chosen in made
    assert front[0] in made or front[-1] in made
    folders = [Path(point["measured"]["folder"]) for point in made]
    for point, folder in zip(made, folders, strict=True):
        target = json.loads((folder / "model" / "manifest.json").read_text())["options"]["target"]
        assert target["estimated_kl"] == pytest.approx(point["loss"])
        assert target["engine"] == point["digest"]
        assert point["cycles"]["source"] == "modelled"

    table, page = (out / "front.md").read_text(), (out / "report.html").read_text()
    for point in made:
        shown = f"{point['measured']['figures']['kl_divergence']:.4f}"
        assert shown in table
        assert shown in page

    # One that was interrupted behind its compression goes on there, the others are kept.
    models = [folder / "model" / "manifest.json" for folder in folders]
    figures = [folder / "evaluated.json" for folder in folders]
    before = [path.stat().st_mtime_ns for path in (*models, *figures)]
    figures[0].unlink()
    assert explore(llama_folder, out, text, *arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"The chosen model is in {chosen['measured']['folder']}" in said
    assert all(f"{point['measured']['figures']['kl_divergence']:.4f}" in said for point in made)
    again = json.loads((out / "explore.json").read_text())
    assert (again["front"], again["chosen"]) == (front, chosen)
    after = [path.stat().st_mtime_ns for path in (*models, *figures)]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True] * 3 + [False, True, True]


def test_a_point_does_not_depend_on_those_made_before(llama_folder, tmp_path, text, capsys):
    models = {}
    for count in ("1", "4"):
        arguments = (*ARGUMENTS, "--measure-front", count, "--json")
        assert explore(llama_folder, tmp_path / count, text, *arguments) == 0
        measured = json.loads(capsys.readouterr().out)["chosen"]["measured"]
        layers = Path(measured["folder"]) / "model" / "layers.safetensors"
        models[count] = layers.read_bytes(), measured["figures"]
    assert models["1"] == models["4"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--board", "nope"), "no board is called 'nope'"),
        (("--prefill", "0", "--decode", "0"), "a workload has tokens to read or to write"),
        (("--max-kl", "0"), "give more than 0"),
        (("--max-kl", "1e-12"), "no point keeps all limits on ulx3s-85f: the least loss is"),
        (
            ("--min-tokens-per-second", "1e9"),
            "at a loss of 0.05 nats at most",
        ),
        (("--max-lut", "100"), "look-up tables of the 100 allowed"),
        (("--features", "gx"), "features must be letters of g (group scales), h (half-steps)"),
        (
            ("--route", "--board", "kv260"),
            "Xilinx UltraScale+ is counted only, not placed and routed; leave out --route",
        ),
    ],
)
def test_limits_that_cannot_be_kept(llama_folder, tmp_path, text, capsys, arguments, what):
    assert explore(llama_folder, tmp_path / "out", text, *ARGUMENTS, *arguments) == 2
    assert what in capsys.readouterr().err


def test_a_memory_that_is_too_small(llama_folder, tmp_path, text, capsys):
    from importlib.resources import files

    whole = (files("summand.boards") / "library" / "ulx3s-85f.toml").read_text()
    described = whole[whole.index("[memory.dram]") : whole.index("[link]")]
    mine = tmp_path / "mine.toml"
    mine.write_text(whole.replace(described, "").replace("bytes = 33_554_432", "bytes = 100"))
    assert explore(llama_folder, tmp_path / "out", text, *ARGUMENTS, "--board", str(mine)) == 2
    said = capsys.readouterr().err
    assert "fits the memory of mine at no setting: it takes" in said
    assert "the smallest board that could is ulx3s-85f" in said


def test_a_damaged_file_is_told(llama_folder, tmp_path, text, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "candidates.npz").write_bytes(b"PK\x03\x04 none")
    assert explore(llama_folder, out, text, *ARGUMENTS) == 2
    assert "candidates.npz is damaged" in capsys.readouterr().err
