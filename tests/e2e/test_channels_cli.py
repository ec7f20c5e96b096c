"""A model whose inputs have loud channels: compressed with groups of them, verified, run."""

import json
import re
from pathlib import Path

import pytest
import torch

from summand.cli import main
from summand.model import SummandModel

ARGS = ("--no-rotate", "--no-balance", "--act-groups", "4", "--act-block", "16")


@pytest.fixture(scope="module")
def loud_llama(make_llama, tokenizer, tmp_path_factory) -> Path:
    """A Hugging Face folder with a random Llama, some channels of which are loud."""
    path = tmp_path_factory.mktemp("hf") / "llama"
    model = make_llama(blocks=2)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "layernorm" in name:
                p[5:9] *= 30
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def compressed(loud_llama, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("models") / "grouped"
    args = ["compress", str(loud_llama), "-o", str(out), "--calibration-tokens", "500", *ARGS]
    assert main([*args, "--bits", "8", "--rank", "4"]) == 0
    return out


def test_engines_compute_and_write_what_layers_mean(compressed, capsys, tmp_path):
    from summand.model.engine import engine_of

    model = SummandModel(compressed)
    grouped = [name for name in model.names if model.entry(name).borders]
    assert grouped
    config = tmp_path / "engine.json"
    config.write_text(engine_of(model.manifest).to_json())
    capsys.readouterr()
    args = ["--model", str(compressed), "--layers", grouped[0], "--config", str(config), "--json"]
    assert main(["verify", *args, "--device", "golden"]) == 0
    assert json.loads(capsys.readouterr().out)["exact"]
    there = ("--tokens", "5", "--config", str(config), "--device", "golden")
    assert main(["run", str(compressed), "--prompt", "Hello", *there, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] == 5
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog; " * 9)
    assert main(["evaluate", str(compressed), "--text", str(text), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["texts"]
    assert found["kl_divergence"] < 0.5


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--act-groups", 8), "a rotation mixes all channels .* give --no-rotate"),
        ((*ARGS, "--act-groups", 17), "act_groups must be 0 to 16, not 17"),
        (
            (*ARGS, "--target-bits", 4, "--engine", "smollm2"),
            "act_groups must be 0 on an engine without border_shift, not 4",
        ),
    ],
)
def test_what_cannot_be_is_named(loud_llama, tmp_path, capsys, args, said):
    out = tmp_path / "m"
    assert main(["compress", str(loud_llama), "-o", str(out), *map(str, args)]) == 2
    assert re.search(said, " ".join(capsys.readouterr().err.split()))
    assert not out.exists()
