"""``summand run --speculate``: the same text, in fewer passes over the weights."""

import dataclasses
import json
from pathlib import Path

import pytest
from safetensors import safe_open

from summand.cli import main
from summand.decoding import TextStream
from summand.schedule.fit import DEFAULT_CONFIG

PROMPT = "abababab cdcdcdcd"
ROWS = dataclasses.replace(DEFAULT_CONFIG, rows=4, cols=4, depth=16, stream_bits=64)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A small engine of four rows, as a file."""
    path = tmp_path / "engine.json"
    path.write_text(ROWS.to_json())
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tiny_llama: Path, engine: Path):
    """Return a function that runs the command on the small engine."""

    def call(*args: object, config: object = engine, tokens: int = 30):
        how = ("--config", config, "--tokens", tokens, "--prompt", PROMPT)
        status = main(["run", str(tiny_llama), *map(str, how), *map(str, args)])
        out, err = capsys.readouterr()
        return status, out, " ".join(err.split())

    return call


def test_text_is_that_of_plain_decoding(run):
    plain = json.loads(run("--speculate", "off", "--json")[1])
    assert plain["speculation"]["tokens_per_pass"] == 1
    assert plain["speculation"]["passes"] == 29
    for how in (1, 2, 3, "auto"):
        drafted = json.loads(run("--speculate", how, "--json")[1])
        assert drafted["token_ids"] == plain["token_ids"]
        figures = drafted["speculation"]
        assert figures["accepted"] > 0
        assert figures["passes"] + figures["accepted"] == 29
        assert figures["accepted"] == sum(figures["accepted_by_place"])
        assert figures["tokens_per_pass"] == 29 / figures["passes"]
        assert drafted["stream_bits_per_token"] < plain["stream_bits_per_token"]
        assert drafted["stream_bits_per_token"] == drafted["decode"]["stream_bits"] / 29
    assert json.loads(run("--json")[1])["token_ids"] == plain["token_ids"]  # auto


def test_chances_are_those_of_plain_decoding(run):
    for seed in range(3):
        how = ("--temperature", 0.5, "--seed", seed, "--json")
        plain, drafted = (
            json.loads(run(*how, "--speculate", s)[1])["token_ids"] for s in ("off", 3)
        )
        assert plain == drafted


@pytest.mark.sim
def test_simulated_verilog_writes_the_same_in_as_many_passes(run):
    golden, sim, plain = (
        json.loads(run("--device", d, "--speculate", s, "--json", tokens=16)[1])
        for d, s in (("golden", 3), ("sim", 3), ("sim", "off"))
    )
    assert golden["token_ids"] == sim["token_ids"] == plain["token_ids"]
    assert golden["speculation"] == sim["speculation"]
    assert sim["cycles_per_token"] < plain["cycles_per_token"]
    assert all(row["law_equal"] for row in sim["profile"].values())


def test_figures_for_people(run):
    err = run("--speculate", 3)[2]
    assert "tokens a pass over the weights" in err
    assert "the first, second ... was right in" in err
    assert "a pass over" not in run("--speculate", "off")[2]


def test_one_row_writes_one_token_a_pass(run):
    report = json.loads(run("--json", config="smollm2", tokens=4)[1])
    assert report["speculation"]["proposed"] == 0


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (
            ("--speculate", 4),
            "--speculate 4: the engine has 4 rows, of which one is for the text's",
        ),
        (("--speculate", 0), "--speculate must be auto, off or a number of tokens, not '0'"),
        (("--speculate", "-1"), "must be auto, off or a number of tokens, not '-1'"),
        (("--speculate", "many"), "must be auto, off or a number of tokens, not 'many'"),
        (("--speculate", "9" * 5000), "must be auto, off or a number of tokens"),
        (
            ("--speculate", "off", "--draft-table", "t"),
            "is for speculation, and --speculate is off",
        ),
    ],
)
def test_bad_options(run, args, text):
    status, out, err = run(*args)
    assert (status, out) == (2, "")
    assert text in err


def test_one_row_has_none_to_spare(run):
    status, out, err = run("--speculate", 1, config="smollm2")
    assert (status, out) == (2, "")
    assert "--speculate 1: the engine has 1 row" in err
    assert "give off, or an engine of more rows by --config" in err
    status, out, err = run("--draft-table", "t", config="smollm2")
    assert (status, out) == (2, "")
    assert "--draft-table is for speculation, and the engine has one row" in err


def test_a_table_is_kept_from_text_to_text(run, tmp_path):
    table = tmp_path / "drafts.safetensors"
    first, second = (json.loads(run("--draft-table", table, "--json")[1]) for _ in range(2))
    assert table.exists()
    assert first["token_ids"] == second["token_ids"]
    assert second["speculation"]["passes"] < first["speculation"]["passes"]


@pytest.mark.parametrize("damage", ["cut", "text", "folder", "nowhere"])
def test_a_table_that_cannot_be_used_is_refused_before_anything_is_written(run, tmp_path, damage):
    table = tmp_path / "drafts.safetensors"
    run("--draft-table", table)
    whole = table.read_bytes()
    match damage:
        case "cut":
            table.write_bytes(whole[: len(whole) // 2])
        case "text":
            table.write_text("no table")
        case "folder":
            table = tmp_path
        case "nowhere":
            table = tmp_path / "none" / "drafts.safetensors"
    status, out, err = run("--draft-table", table)
    assert (status, out) == (2, "")
    assert str(table) in err
    assert "Traceback" not in err


def test_an_interrupted_run_keeps_what_was_learned(run, tmp_path, monkeypatch):
    table = tmp_path / "drafts.safetensors"
    shown, push = [], TextStream.push

    def interrupted(stream: TextStream, token: int) -> str:
        shown.append(token)
        if len(shown) == 9:
            raise KeyboardInterrupt
        return push(stream, token)

    monkeypatch.setattr(TextStream, "push", interrupted)
    assert run("--draft-table", table)[0] != 0
    assert len(shown) == 9
    with safe_open(table, "numpy") as kept:
        assert len(kept.get_tensor("singles")) > 1
