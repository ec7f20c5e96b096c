import json
import shutil

import pytest
import torch
from transformers import BertConfig, BertModel

from summand.cli import main
from summand.model import SummandModel
from summand.report import METHODS


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
    """The Llama compressed to eight bits, and its source in a folder of its own."""
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
    assert report["reader_check"]["independent"] is True


def test_the_table_has_the_figures(evaluate, model):
    status, out, _ = evaluate(model)
    assert status == 0
    for said in ("perplexity", "perplexity, uncompressed", "KL divergence", "bits per weight"):
        assert said in out
    assert "Uncompressed weights as transformers reads them by itself" in " ".join(out.split())


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


def test_several_texts(evaluate, model, tmp_path):
    (tmp_path / "own.txt").write_text("once upon a time " * 4)
    status, out, _ = evaluate(model, "--text", tmp_path / "own.txt", "--other", "--json")
    assert status == 0
    report = json.loads(out)
    names = [text["text"] for text in report["texts"]]
    assert names[:2] == ["own.txt", "GNU General Public License, version 3"]
    assert names[2:] == ["short sentences of many kinds"]
    assert report["perplexity"] == report["texts"][0]["perplexity"]
    status, out, _ = evaluate(model, "--text", tmp_path / "own.txt", "--other")
    assert "own.txt" in out
    assert "GNU" in out


def test_everything_streamed_is_counted(evaluate, model):
    status, out, _ = evaluate(model, "--json")
    assert status == 0
    report = json.loads(out)
    weights = sum(e.weights for e in SummandModel(model).manifest.layers)
    parts = report["streamed_bytes"]
    streamed = 8 * (sum(parts.values()) - parts["activations"]) / weights
    assert report["streamed_bits_per_weight"] == pytest.approx(streamed)
    assert streamed > 8


def test_a_report_is_left_beside_the_model(evaluate, model, tmp_path):
    status, out, _ = evaluate(model)
    assert status == 0
    assert f"Report in {model / 'report.html'}" in " ".join(out.split())
    assert "KL divergence" in (model / "report.html").read_text()
    SummandModel(model)  # is as good as before
    status, out, _ = evaluate(model, "--report", tmp_path / "own.html", "--json")
    assert json.loads(out)["report"] == f"Report in {tmp_path / 'own.html'}"
    assert (tmp_path / "own.html").exists()
    status, _, err = evaluate(model, "--report", tmp_path / "no" / "own.html")
    assert status == 2
    assert "cannot write the report" in err


def test_baselines_are_worked_out_once(evaluate, model, monkeypatch):
    status, out, _ = evaluate(model, "--baselines", "--json")
    assert status == 0
    first = json.loads(out)["baselines"]
    assert [b["name"][:4] for b in first] == ["RTN,", "RTN,", "GPTQ", "GPTQ"]
    for b in first:  # rank 16 is too much for layers as small as these
        assert 7 < b["bits_per_weight"] <= (9 if "rank" in b["name"] else 8)
        assert b["texts"][0]["kl_divergence"] > 0
    # Finished baselines are not computed again.
    known = json.loads((model / "baselines.json").read_text())
    assert len(known) == 4
    last = list(known)[-1]
    (model / "baselines.json").write_text(json.dumps({k: known[k] for k in known if k != last}))
    monkeypatch.setattr("summand.report.baselines.METHODS", METHODS[:3])
    monkeypatch.setattr("summand.report.baselines.compress_layers", None)
    status, out, _ = evaluate(model, "--baselines")
    assert status == 0
    assert "Published methods at as many bits" in out
    assert "RTN" in (model / "report.html").read_text()


def test_a_head_in_parts_has_baselines(evaluate, llama_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("summand.compress.allocate.parts._LARGE_HEAD", 256)
    monkeypatch.setattr("summand.compress.allocate.parts._HEAD_PARTS", 4)
    monkeypatch.setattr("summand.report.baselines.METHODS", METHODS[1:2])
    model = tmp_path / "m"
    args = ["compress", llama_folder, "-o", model, "--target-bits", 4.5, "--rank", 0]
    args += ["--group", 16, "--calibration-tokens", 900, "--json"]
    assert main([*map(str, args)]) == 0
    status, out, _ = evaluate(model, "--baselines", "--json")
    assert status == 0
    report = json.loads(out.splitlines()[-1])  # after the output of the compression
    assert report["streamed_bits_per_weight"] <= 4.5
    (beside,) = report["baselines"]
    assert beside["texts"][0]["kl_divergence"] > report["texts"][0]["kl_divergence"] > 0


def test_baselines_need_the_model_and_its_text(evaluate, model, llama_folder, tmp_path):
    status, _, err = evaluate(llama_folder, "--baselines")
    assert status == 2
    assert "--baselines goes with a Summand model" in err
    (tmp_path / "own.txt").write_text("once upon a time " * 50)
    status, _, err = evaluate(model, "--baselines", "--calibration", tmp_path / "own.txt")
    assert status == 2
    assert "calibrated on another text" in err


@pytest.fixture(scope="module")
def encoder(llama_folder, tmp_path_factory):
    """A Hugging Face folder with a random encoder, and that compressed."""
    base = tmp_path_factory.mktemp("encoder")
    source = shutil.copytree(llama_folder, base / "source")
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        vocab_size=256,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(source)
    args = ["compress", source, "-o", base / "m", "--bits", 6, "--calibration-tokens", 900]
    assert main([*map(str, args), "--json"]) == 0
    return base


def test_encoders_are_compared_by_their_embeddings(evaluate, encoder, capsys):
    assert main(["evaluate", str(encoder / "m"), "--tokens", "900", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bits_per_weight"] == 6
    (text,) = report["texts"]
    assert text["sentences"] > 3
    assert 0.9 < text["least_cosine"] <= text["mean_cosine"] < 1
    assert report["mean_cosine"] == text["mean_cosine"]
    assert main(["evaluate", str(encoder / "m"), "--tokens", "900"]) == 0
    assert "same nearest sentence" in capsys.readouterr().out


def test_an_encoder_has_a_report_of_cosines(evaluate, encoder, tmp_path):
    status, out, _ = evaluate(encoder / "m", "--tokens", 900, "--report", tmp_path / "r.html")
    assert status == 0
    assert f"Report in {tmp_path / 'r.html'}" in " ".join(out.split())
    page = (tmp_path / "r.html").read_text()
    assert "cosine to full precision, mean" in page
    for other in ("perplexity", "KL divergence"):
        assert other not in page
    assert "bits streamed" in page


def test_an_encoder_has_baselines(evaluate, encoder):
    status, out, _ = evaluate(encoder / "m", "--baselines", "--json")
    assert status == 0
    report = json.loads(out)
    assert [b["name"][:4] for b in report["baselines"]] == ["RTN,", "RTN,", "GPTQ", "GPTQ"]
    for b in report["baselines"]:
        (text,) = b["texts"]
        assert text["sentences"] == report["texts"][0]["sentences"]
        assert 0.5 < text["mean_cosine"] < 1
    page = (encoder / "m" / "report.html").read_text()
    assert "1 - cosine to full precision" in page


def test_an_encoder_alone_has_nothing_to_be_compared_with(evaluate, encoder):
    status, _, err = evaluate(encoder / "source")
    assert status == 2
    assert "give the Summand model that was made from it" in err


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
    assert "is no model: give smollm2, minilm, a .gguf file, or a folder" in err
