import json
from pathlib import Path

import pytest

from summand.cli import main
from summand.isa import EngineConfig
from summand.schedule.fit import DEFAULT_CONFIG


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command and gives status, output and errors."""

    def call(*args: object):
        status = main(["verify", *map(str, args)])
        out, err = capsys.readouterr()
        return status, out, " ".join(err.split())

    return call


def test_random_layer(verify):
    status, out, _ = verify(
        "--shape", "3,100,70", "--rank", 9, "--bits", 3, "--device", "golden", "--json"
    )
    assert status == 0
    report = json.loads(out)
    assert report["exact"] is True
    assert report["cycles"] is None
    assert report["macs"] == 3 * (100 * 70 + 9 * 170)
    assert report["config"] == DEFAULT_CONFIG.digest
    # Two slices of 18 + 3 tiles, then one slice of 18 for the second factor; three tokens.
    assert report["plane_words"] == 3 * (2 * (18 * 3 + 3 * 4) + 18 * 4)
    assert report["stream_beats"] > report["plane_words"]
    assert report["seconds"] > 0


@pytest.fixture
def small_engine(tmp_path) -> Path:
    """An engine with two rows, whose memories a small layer exceeds."""
    config = EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=4, shift=3
    )
    path = tmp_path / "engine.json"
    path.write_text(config.to_json())
    return path


@pytest.mark.sim
@pytest.mark.parametrize("stall", [0, 0.4])
@pytest.mark.parametrize(
    ("shape", "rank", "bits"), [("5,40,40", 0, 8), ("3,150,90", 20, 3), ("1,16,7", 3, 1)]
)
def test_simulated_verilog_is_exact(verify, small_engine, shape, rank, bits, stall):
    args = ("--shape", shape, "--rank", rank, "--bits", bits, "--stall", stall, "--seed", 3)
    status, out, _ = verify("--config", small_engine, *args, "--json")
    assert status == 0
    report = json.loads(out)
    assert report["exact"] is True
    assert report["device"] == "sim"
    assert report["cycles"] > report["stream_beats"]
    assert report["counters"]["work"] == report["plane_words"]


@pytest.mark.sim
def test_model_on_simulated_verilog(verify, tiny_llama):
    status, out, _ = verify("--model", tiny_llama, "--layers", 2)
    assert status == 0
    assert "2 of 2 groups exact on sim" in out


def test_seed_changes_the_data_and_not_the_work(verify):
    def work(seed):
        out = verify("--shape", "1,64,64", "--seed", seed, "--device", "golden", "--json")[1]
        return json.loads(out)["stream_beats"]

    assert work(1) == work(2)


def test_layers_of_a_model_are_of_every_kind(verify, tiny_llama):
    status, out, _ = verify("--model", tiny_llama, "--layers", 5, "--device", "golden")
    assert status == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["exact"] * 5 + ["5"]
    kinds = ("lm_head", "q_proj+k_proj+v_proj", "o_proj", "gate_proj+up_proj", "down_proj")
    assert all(any(f"{kind}:" in line for line in lines) for kind in kinds)
    assert any("layers.0" in line for line in lines)
    assert any("layers.1" in line for line in lines)
    assert "5 of 5 groups exact on golden" in lines[5]


@pytest.mark.parametrize("count", [1, 2, 8, 9, 100])
def test_any_number_of_layers(verify, tiny_llama, count):
    out = verify("--model", tiny_llama, "--layers", count, "--device", "golden", "--json")[1]
    names = [group["name"] for group in json.loads(out)["groups"]]
    assert len(set(names)) == min(count, 9)


def test_named_layers_bring_those_that_share_their_input(verify, tiny_llama):
    out = verify(
        "--model",
        tiny_llama,
        "--layers",
        "model.layers.0.mlp.up_proj,lm_head",
        "--device",
        "golden",
        "--json",
    )[1]
    names = [group["name"] for group in json.loads(out)["groups"]]
    assert names == ["lm_head", "model.layers.0.mlp.gate_proj+up_proj"]


def test_a_difference_is_told_and_leaves_with_1(verify, monkeypatch):
    from summand.model import Layer

    good = Layer.accumulate
    monkeypatch.setattr(Layer, "accumulate", lambda self, xq: good(self, xq) + 1)
    status, out, _ = verify("--shape", "1,64,64", "--device", "golden")
    assert status == 1
    assert "DIFFERENT  random" in out
    assert "64 of 64 outputs differ from the layer's meaning" in out
    assert "0 of 1 groups exact" in out


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((), "give either --shape M,K,N or --model DIR"),
        (("--shape", "1,2,3", "--model", "x"), "give either"),
        (("--shape", "1,2"), "three whole numbers M,K,N"),
        (("--shape", "1,2,x"), "three whole numbers M,K,N"),
        (("--shape", "0,2,3"), "tokens must be 1 to 65536, not 0"),
        (("--shape", "1,8,3", "--sparsity", "2:5"), "--sparsity cannot be '2:5'"),
        (("--shape", "1,64,3", "--half-step"), "the engine has no half_steps"),
        (("--shape", "1,2,3", "--bits", 9), "bits must be 1 to 8, not 9"),
        (("--shape", "1,2,3", "--rank", -1), "rank must be 0"),
        (("--shape", "1,2,3", "--stall", 1), "--stall must be at least 0 and less than 1"),
        (("--shape", "1,2,3", "--config", "nowhere.json"), "cannot read nowhere.json"),
        (("--model", "nowhere"), "nowhere is not a folder"),
    ],
)
def test_bad_options(verify, args, text):
    status, out, err = verify(*args, "--device", "golden")
    assert (status, out) == (2, "")
    assert text in err


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--layers", 0), "--layers must be at least 1"),
        (("--layers", "mlp.nothing"), "has no layer 'mlp.nothing'"),
        (("--tokens", 0), "--tokens must be 1 to 4096, not 0"),
    ],
)
def test_bad_choice_of_layers(verify, tiny_llama, args, text):
    status, out, err = verify("--model", tiny_llama, *args, "--device", "golden")
    assert (status, out) == (2, "")
    assert text in err


def test_bad_configuration_names_the_field(verify, tmp_path):
    file = tmp_path / "engine.json"
    file.write_text('{"rows": 0}')
    status, _, err = verify("--shape", "1,2,3", "--config", file)
    assert status == 2
    assert "engine.json: rows must be 1 to 64, not 0" in err
