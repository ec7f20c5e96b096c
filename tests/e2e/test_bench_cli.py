import dataclasses
import json

import pytest

from summand.cli import main
from summand.isa import EngineConfig
from summand.schedule.fit import DEFAULT_CONFIG


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command and gives status, output and errors."""

    def call(*args: object):
        status = main(["bench", *map(str, args)])
        out, err = capsys.readouterr()
        return status, out, " ".join(err.split())

    return call


@pytest.fixture
def small_engine(tmp_path):
    """An engine whose simulator is built quickly."""
    path = tmp_path / "small.json"
    path.write_text(
        EngineConfig(
            rows=2, cols=2, depth=16, stream_bits=32, acc_depth=32, act_depth=8, shift=4
        ).to_json()
    )
    return path


@pytest.mark.sim
def test_law_and_simulated_verilog_side_by_side(bench, tiny_llama, small_engine, tmp_path):
    output = tmp_path / "bench.json"
    args = ("--config", small_engine, "--tokens", 2, "--stall", 0.1)
    status, out, _ = bench(tiny_llama, *args, "-o", output, "--json")
    assert status == 0
    whole = json.loads(out)
    assert json.loads(output.read_text()) == whole
    (outcome,) = whole["configurations"]
    for phase in outcome["phases"].values():
        assert phase["equal"] is True
        assert phase["measured"]["counters"] == phase["modelled"]["counters"]
        assert phase["measured"]["cycles_per_second"] > 0
    written = outcome["written"]
    assert written["source"] == "measured"
    assert len(written["seconds"]) == 2
    assert 0 < written["host_share"] < 1
    assert outcome["stalled"]["law_equal"] is True
    assert whole["machine"]["cores"] >= 1
    assert whole["versions"]["verilator"]
    assert whole["date"].endswith("+00:00")


@pytest.mark.sim
def test_tables(bench, tiny_llama, small_engine):
    status, out, _ = bench(tiny_llama, "--config", small_engine, "--tokens", 1, "--stall", 0.1)
    assert status == 0
    for text in ("small.json", "= law", "Native simulator, measured", "projected", "equal"):
        assert text in out


def test_law_alone_compares_named_engines(bench, tiny_llama):
    status, out, _ = bench(tiny_llama, "--modelled")
    assert status == 0
    for text in ("rows-8", "prefill 4", "by the law", "Relative to smollm2", "ecpix5-85f"):
        assert text in out


def test_a_page_has_the_tables(bench, tiny_llama, tmp_path):
    page = tmp_path / "bench.html"
    status, out, _ = bench(tiny_llama, "--modelled", "--config", "smollm2", "--report", page)
    assert status == 0
    text = page.read_text()
    for title in (
        "cycles of a pass that writes on smollm2, modelled",
        "<h2>Decoding on boards that ",
    ):
        assert title in text
    assert text.count("<tr>") > out.count("ecpix5-85f") + 3
    assert "ecpix5-85f" in text
    status, _, err = bench(tiny_llama, "--modelled", "--report", tmp_path / "none" / "a.html")
    assert status == 2
    assert "is no folder; make it first" in err


def test_one_bad_configuration_leaves_the_others(bench, tiny_llama, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text(dataclasses.replace(DEFAULT_CONFIG, shift=2).to_json())
    args = ("--modelled", "--config", bad, "--config", "smollm2")
    status, out, _ = bench(tiny_llama, *args, "--json")
    assert status == 1
    first, second = json.loads(out)["configurations"]
    assert "acc_shift 4, but the engine's shift is 2; compress it again" in first["error"]
    assert first["phases"] == {}
    assert second["error"] is None
    status, out, _ = bench(tiny_llama, *args)
    assert status == 1
    assert "not measured" in out


def test_memory_that_is_too_small(bench, tiny_llama, tmp_path):
    tight = tmp_path / "tight.json"
    tight.write_text(
        EngineConfig(
            cols=64, depth=8, stream_bits=32, act_depth=2, requant_depth=64, shift=4
        ).to_json()
    )
    status, out, _ = bench(tiny_llama, "--modelled", "--config", tight, "--json")
    assert status == 1
    assert "raise act_depth or depth" in json.loads(out)["configurations"][0]["error"]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--config", "rows-2"), "no configuration is called 'rows-2'"),
        (("--config", "nowhere.json"), "cannot read nowhere.json"),
        (("--config", "smollm2", "--config", "smollm2"), "give each once"),
        (("--stall", 1.5), "stall must be at least 0 and less than 1"),
        (("--stall", 0.1, "--modelled"), "leave out either --stall or --modelled"),
        (("--tokens", -1), "Invalid value for '--tokens'"),
        (("-o", "."), "-o names a file"),
        (("-o", "nowhere/x.json"), "nowhere is no folder; make it first"),
    ],
)
def test_bad_options(bench, tiny_llama, args, text):
    status, out, err = bench(tiny_llama, *args)
    assert (status, out) == (2, "")
    assert text in err
    assert "Traceback" not in err


def test_no_model(bench, tmp_path):
    status, out, err = bench(tmp_path, "--modelled")
    assert (status, out) == (2, "")
    assert "no Summand model" in err
    status, _, err = bench(tmp_path / "nowhere", "--modelled")
    assert status == 2
    assert "is not a folder" in err


def test_missing_simulator(bench, tiny_llama, monkeypatch):
    from summand.verilated import ToolError

    def missing():
        raise ToolError("simulation needs Verilator, and there is none")

    monkeypatch.setattr("summand.bench.suite.find_verilator", missing)
    status, out, err = bench(tiny_llama)
    assert (status, out) == (2, "")
    assert "simulation needs Verilator" in err
    assert "--modelled" in err


def test_interrupt_leaves_nothing(bench, tiny_llama, tmp_path, monkeypatch):
    def interrupt(*_: object):
        raise KeyboardInterrupt

    monkeypatch.setattr("summand.bench.suite.Suite.run", interrupt)
    output = tmp_path / "bench.json"
    output.write_text("as it was")
    status, _, err = bench(tiny_llama, "--modelled", "-o", output)
    assert status != 0
    assert "Traceback" not in err
    assert output.read_text() == "as it was"
    assert [p.name for p in tmp_path.iterdir()] == ["bench.json"]


def test_prompts_are_written_with_speculation_and_without(bench, long_llama, small_engine):
    args = ("--config", small_engine, "--config", "smollm2", "--modelled", "--prompts", 2)
    status, out, _ = bench(long_llama, *args, "--json")
    assert status == 0
    small, one_row = json.loads(out)["configurations"]
    assert "one row has none to spare" in one_row["speculated"]["why"]
    speculated = small["speculated"]
    assert speculated["equal"] is True
    first, second = speculated["texts"]
    assert (first["kind"], second["kind"]) == ("chat", "translation")
    assert first["tokens"] == len(first["token_ids"]) - 1 == 127
    whole = speculated["parts"][0]
    assert whole["texts"] == "all"
    assert whole["tokens"] == 254
    assert whole["passes"] == first["passes"] + second["passes"] < 254
    assert whole["tokens_per_pass"] == 254 / whole["passes"]
    # A pass of several rows costs more than one of one row, and less than two.
    decode = small["phases"]["decode"]["modelled"]["counters"]["cycles"]
    assert decode <= whole["cycles_per_token"] * whole["tokens_per_pass"] < 2 * decode
    kinds = [part["texts"] for part in speculated["parts"][1:] if part["texts"] != "without loops"]
    assert kinds == ["chat", "translation"]


def test_tables_of_speculation(bench, long_llama, tiny_llama, small_engine):
    how = ("--config", small_engine, "--modelled", "--prompts", 1)
    status, out, _ = bench(long_llama, *how)
    assert status == 0
    assert "Speculation: tokens counted on the golden model, cycles by the law" in out
    assert "1 chat" in out
    status, out, _ = bench(tiny_llama, *how)
    assert status == 0
    assert "no prompts written: the prompt's" in out


def test_more_prompts_than_there_are(bench, tiny_llama):
    status, out, err = bench(tiny_llama, "--prompts", 41)
    assert (status, out) == (2, "")
    assert "--prompts must be at most 40, as many as there are" in err
