"""Prompts by way of pseudo-tokens, from the command line."""

import json
from pathlib import Path

import pytest
import torch

from summand.cli import main
from summand.model import SummandModel
from summand.model.decomposed import decomposed
from summand.model.decomposition import EXACT
from summand.model.host import load_host


@pytest.fixture(scope="module")
def source(save_llama) -> Path:
    return save_llama(blocks=2, hidden=64, inner=96, positions=128, seed=5)


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("decomposed") / "m"
    options = ("--bits", "8", "--decompose-loss", "5", "--calibration-tokens", "600")
    assert main(["compress", str(source), "-o", str(out), *options]) == 0
    return out


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs a command and gives status, output and errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: object):
        status = main(list(map(str, args)))
        out, err = capsys.readouterr()
        return status, out, " ".join(err.split())

    return run


PROMPT = "It was a bright cold day in April, and the clocks were striking thirteen. " * 2


def logits(path: Path, ids: list[int]) -> torch.Tensor:
    """Return the last token's logits by the layers' integer meaning, without any engine."""
    source = SummandModel(path)
    model = load_host(source)
    found = {name: of for of in source.decompositions() for name in of.layers}
    layers = {layer.name: layer for layer in source.layers()}

    def computed(name: str):
        def forward(x: torch.Tensor) -> torch.Tensor:
            flat = x.reshape(-1, x.shape[-1]).numpy()
            if name in found and len(flat) > EXACT + 1:
                of = found[name]
                group = [layers[each] for each in of.layers]
                y = decomposed(group, of, flat)[of.layers.index(name)]
            else:
                y = layers[name].forward(flat)
            return torch.from_numpy(y).reshape(*x.shape[:-1], -1)

        return forward

    for name in layers:
        model.get_submodule(name).forward = computed(name)
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -1]


def test_inputs_are_found_and_named(folder):
    source = SummandModel(folder)
    assert source.manifest.decompositions
    assert source.manifest.options["decomposition"]["saved"] > 0
    assert source.manifest.options["decomposition"]["loss"] <= 5
    for entry in source.manifest.decompositions:
        assert entry.layers in source.groups
        assert entry.rank % 16 == 0
        assert entry.hosted == tuple(n for n in entry.layers if n.endswith("v_proj"))
    assert any(entry.hosted for entry in source.manifest.decompositions)


def test_the_text_is_that_of_the_integer_meaning(call, folder, tokenizer):
    prompt = PROMPT[:120]
    status, out, err = call(
        "run", folder, "--prompt", prompt, "--tokens", 1, "--decompose", "--json"
    )
    assert status == 0, err
    report = json.loads(out)
    ids = tokenizer(prompt)["input_ids"]
    assert report["token_ids"] == [int(logits(folder, ids).argmax())]
    assert "A prompt of 120 tokens is decomposed at" in err
    assert any("expansion" in name for name in report["profile"])
    assert report["decomposed"] == len(SummandModel(folder).manifest.decompositions)


@pytest.fixture(scope="module")
def loud_folder(make_llama, tokenizer, tmp_path_factory) -> Path:
    """Return a model that is not rotated; three channels of attention's inputs are loud."""
    path = tmp_path_factory.mktemp("loud")
    model = make_llama(blocks=2, hidden=64, inner=96, positions=128, seed=5)
    for block in model.model.layers:
        block.input_layernorm.weight.data[[3, 17, 40]] = 30.0
    model.save_pretrained(path / "hf")
    tokenizer.save_pretrained(path / "hf")
    options = ("--bits", "8", "--decompose-loss", "5", "--calibration-tokens", "600")
    plain = ("--no-rotate", "--no-balance")
    assert main(["compress", str(path / "hf"), "-o", str(path / "m"), *options, *plain]) == 0
    return path / "m"


def test_loud_channels_go_around_where_inputs_are_not_rotated(call, loud_folder, tokenizer):
    found = SummandModel(loud_folder).decompositions()
    attention = [of.loud for of in found if of.layers[0].endswith("q_proj")]
    assert attention
    assert set(attention) == {(3, 17, 40)}
    prompt = PROMPT[:120]
    status, out, err = call(
        "run", loud_folder, "--prompt", prompt, "--tokens", 1, "--decompose", "--json"
    )
    assert status == 0, err
    ids = tokenizer(prompt)["input_ids"]
    assert json.loads(out)["token_ids"] == [int(logits(loud_folder, ids).argmax())]


def test_no_channel_is_loud_where_inputs_are_rotated(folder):
    assert not any(of.loud for of in SummandModel(folder).decompositions())


def test_a_short_prompt_is_read_as_ever(call, folder):
    plain = call("run", folder, "--prompt", "Hello", "--tokens", 4)
    status, out, err = call("run", folder, "--prompt", "Hello", "--tokens", 4, "--decompose")
    assert status == 0
    assert out == plain[1]
    assert "is too short for that to save anything" in err


def test_a_model_without_decompositions_is_refused(call, tiny_llama):
    status, _, err = call("run", tiny_llama, "--prompt", "Hello", "--decompose")
    assert status == 2
    assert "has no decompositions; compress the model with --decompose-loss" in err


def test_an_engine_without_operand_memory_is_refused(call, folder):
    asked = ("--prompt", "Hello", "--decompose", "--config", "smollm2")
    status, _, err = call("run", folder, *asked)
    assert status == 2
    assert "its operand_depth is 0; use an engine with one" in err


def test_an_adapter_is_refused_beside_it(call, folder, tmp_path):
    status, _, err = call(
        "run", folder, "--prompt", PROMPT, "--decompose", "--adapter", tmp_path / "a"
    )
    assert status == 2
    assert "leave out --decompose or --adapter" in err


@pytest.mark.parametrize("loss", ["0", "-1", "nan", "inf"])
def test_a_loss_that_is_none_is_refused(call, source, tmp_path, loss):
    out = tmp_path / "m"
    status, _, err = call("compress", source, "-o", out, "--decompose-loss", loss)
    assert status == 2
    assert "decompose_loss must be above 0 and finite" in err
    assert not out.exists()


def test_prompts_are_verified(call, folder):
    status, out, err = call(
        "verify", "--model", folder, "--decompose", "--tokens", 130, "--layers", 2, "--device",
        "golden", "--json",
    )  # fmt: skip
    assert status == 0, err
    report = json.loads(out)
    assert report["exact"]
    assert len(report["groups"]) == min(2, len(SummandModel(folder).manifest.decompositions))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--shape", "1,8,8"), "--decompose is for --model"),
        (("--tokens", 8), "--tokens must be 9 to 8192 with --decompose, not 8"),
        (("--layers", "lm_head"), "has no decompositions of what --layers names"),
    ],
)
def test_what_cannot_be_verified_is_refused(call, folder, args, said):
    model = () if "--shape" in args else ("--model", folder)
    tokens = () if "--tokens" in args else ("--tokens", 60)
    status, _, err = call("verify", *model, "--decompose", *args, *tokens, "--device", "golden")
    assert status == 2
    assert said in err


def test_a_prompt_is_benchmarked_by_the_law(call, folder):
    config = ("--config", "operand-4", "--config", "rows-4")
    status, out, err = call(
        "bench", folder, *config, "--modelled", "--prompt-tokens", 128, "--tokens", 0, "--json"
    )
    assert status == 0, err
    with_memory, without = json.loads(out)["configurations"]
    found = with_memory["prompt"]
    assert found["tokens"] == 128
    replaced = found["replaced"]["counters"]["cycles"]
    parts = {name: part["counters"]["cycles"] for name, part in found["parts"].items()}
    assert set(parts) == {"first tokens", "sketch", "product", "pseudo-tokens", "expansion"}
    plain = found["plain"]["counters"]["cycles"]
    assert found["cycles"] == plain - replaced + sum(parts.values())
    assert without["prompt"] is None
    status, out, _ = call(
        "bench", folder, *config, "--modelled", "--prompt-tokens", 128, "--tokens", 0
    )
    assert "A prompt of 128 tokens with decompositions" in out
    assert "rows-4: no prompt with decompositions" in " ".join(out.split())
