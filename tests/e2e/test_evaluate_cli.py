import json
import shutil

import pytest

from summand.cli import main


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command and gives status, output and errors."""

    def call(*args: object):
        status = main(["evaluate", *map(str, args), "--tokens", "200"])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture(scope="module")
def model(llama_folder, tmp_path_factory):
    """The Llama compressed to eight bits, and its source in a place of its own."""
    base = tmp_path_factory.mktemp("evaluate")
    source = shutil.copytree(llama_folder, base / "source")
    args = ["compress", source, "-o", base / "m", "--bits", 8, "--calibration-tokens", 300]
    assert main([*map(str, args), "--json"]) == 0
    return base / "m"


def test_a_source_has_a_perplexity(evaluate, llama_folder):
    status, out, _ = evaluate(llama_folder, "--json")
    assert status == 0
    report = json.loads(out)
    assert report["tokens"] == 200 - 4
    assert report["perplexity"] > 1
    assert report["kl_divergence"] is report["bits_per_weight"] is None
    assert report["text"] == "every second topic of pydoc_data.topics"


def test_a_model_is_compared_with_its_source(evaluate, model, llama_folder):
    _, plain, _ = evaluate(llama_folder, "--json")
    status, out, _ = evaluate(model, "--json")
    assert status == 0
    report = json.loads(out)
    assert report["reference_perplexity"] == pytest.approx(json.loads(plain)["perplexity"])
    assert report["perplexity"] == pytest.approx(report["reference_perplexity"], rel=0.05)
    assert 0 < report["kl_divergence"] < 0.05
    assert report["bits_per_weight"] == 8
    assert report["no_reference"] is None


def test_the_table_has_the_figures(evaluate, model):
    status, out, _ = evaluate(model)
    assert status == 0
    for said in ("perplexity", "perplexity, uncompressed", "KL divergence", "bits per weight"):
        assert said in out


def test_without_its_source_there_is_perplexity_only(evaluate, model, tmp_path):
    away = model.parent / "away"
    (model.parent / "source").rename(away)
    try:
        status, out, _ = evaluate(model)
        assert status == 0
        assert "perplexity, uncompressed" not in out
        assert "No KL divergence: the uncompressed model is no longer at" in " ".join(out.split())
        status, out, _ = evaluate(model, "--json")
        assert status == 0
        assert "no longer at" in json.loads(out)["no_reference"]
    finally:
        away.rename(model.parent / "source")


def test_text_of_ones_own(evaluate, model, tmp_path):
    (tmp_path / "own.txt").write_text("once upon a time " * 4)
    status, out, _ = evaluate(model, "--text", tmp_path / "own.txt", "--json")
    assert status == 0
    report = json.loads(out)
    assert (report["text"], report["tokens"]) == ("own.txt", 68 - 2)


def test_a_damaged_model_is_named(evaluate, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "copy")
    path = copy / "layers.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    status, out, err = evaluate(copy)
    assert status == 2
    assert len(err.strip().splitlines()) == 1
    assert "layers.safetensors must be" in err
    assert out == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--text", "/nowhere"], "cannot read /nowhere: No such file"),
        (["--tokens", "1"], "Invalid value for '--tokens'"),
    ],
)
def test_bad_options(evaluate, model, args, said, capsys):
    status = main(["evaluate", str(model), *args])
    err = capsys.readouterr().err
    assert status == 2
    assert said in " ".join(err.split())


def test_no_model(evaluate, tmp_path):
    status, _, err = evaluate(tmp_path / "nothing")
    assert status == 2
    assert "is no model: give smollm2, a .gguf file, or a folder" in err
