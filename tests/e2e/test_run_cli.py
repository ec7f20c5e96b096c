import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from summand.bench.suite import Options, Suite
from summand.boards.configurations import Named
from summand.cli import main
from summand.decoding import Writer
from summand.model import SummandModel
from summand.model.host import load_host
from summand.runtime import Driver, GoldenDevice
from summand.runtime.load import load_model
from summand.schedule.fit import DEFAULT_CONFIG

PROMPT = "Hello you"


def reference_tokens(path: Path, count: int) -> list[int]:
    """Write with every layer computed by its definition in integers, without any engine."""
    source = SummandModel(path)
    model = load_host(source)
    for layer in source.layers():

        def forward(x, layer=layer):
            flat = x.reshape(-1, layer.in_features).numpy()
            return torch.from_numpy(layer.forward(flat)).reshape(*x.shape[:-1], -1)

        model.get_submodule(layer.name).forward = forward
    alphabet = sorted("".join(json.loads((path / "tokenizer.json").read_text())["model"]["vocab"]))
    prompt = [alphabet.index(c) for c in PROMPT.replace(" ", "\u0120")]
    return list(Writer(model).write(prompt, tokens=count))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command and gives status, output and errors."""

    def call(*args: object):
        status = main(["run", *map(str, args)])
        out, err = capsys.readouterr()
        return status, out, " ".join(err.split())

    return call


def test_tokens_are_those_of_the_integer_meaning(run, tiny_llama):
    status, out, _ = run(tiny_llama, "--prompt", PROMPT, "--tokens", 10, "--json")
    assert status == 0
    report = json.loads(out)
    assert report["token_ids"] == reference_tokens(tiny_llama, 10)
    assert report["tokens"] == 10
    assert report["prompt_tokens"] == len(PROMPT)


def test_rows_and_tiling_do_not_change_the_tokens(run, tiny_llama, tmp_path):
    small = dataclasses.replace(
        DEFAULT_CONFIG, rows=4, depth=16, stream_bits=64, act_depth=2, acc_depth=16
    )
    config = tmp_path / "engine.json"
    config.write_text(small.to_json())
    args = (tiny_llama, "--prompt", PROMPT, "--tokens", 6, "--json")
    reports = [json.loads(run(*args, *more)[1]) for more in ((), ("--config", config))]
    assert reports[0]["token_ids"] == reports[1]["token_ids"]
    assert reports[1]["config"] == small.digest


def test_without_an_engine_the_models_own_is_taken(run, llama_folder, tiny_llama, tmp_path):
    """Group scales and half-steps, which the default engine has none of."""
    args = ["compress", llama_folder, "-o", tmp_path / "m", "--bits", 3, "--group", 16]
    args += ["--half-step", "--solver", "rtn", "--calibration-tokens", 300, "--json"]
    assert main([*map(str, args)]) == 0
    status, out, err = run(tmp_path / "m", "--prompt", PROMPT, "--tokens", 4, "--json")
    assert status == 0
    report = json.loads(out.splitlines()[-1])  # behind the compression's
    assert report["token_ids"] == reference_tokens(tmp_path / "m", 4)
    assert 'The engine is the model\'s own: smollm2 with {"cols": 16, "depth": 16,' in err
    assert '"scale_bits": 6, "half_steps": true}' in err
    named = run(tmp_path / "m", "--prompt", PROMPT, "--tokens", 4, "--config", "smollm2")
    assert named[0] == 2
    assert "the engine's scale_bits is 0" in named[2]
    plain = run(tiny_llama, "--prompt", PROMPT, "--tokens", 1)
    assert "The engine is" not in plain[2]


@pytest.mark.sim
def test_simulated_verilog_writes_the_same_tokens(run, tiny_llama):
    args = (tiny_llama, "--prompt", PROMPT, "--tokens", 6, "--json")
    golden, sim = (json.loads(run(*args, "--device", d)[1]) for d in ("golden", "sim"))
    assert sim["token_ids"] == golden["token_ids"]
    assert sim["stream_bits_per_token"] == golden["stream_bits_per_token"]
    # Every beat takes a cycle, and causes add up to cycles.
    assert sim["cycles_per_token"] > sim["decode"]["beats"] / sim["speculation"]["passes"]
    counters = sim["decode"]["counters"]
    assert counters["work"] == sim["decode"]["plane_words"]
    assert 2 * counters["cycles"] == sum(counters.values())
    assert 0 < sim["work_share"] < 1


@pytest.mark.parametrize("device", ["golden", pytest.param("sim", marks=pytest.mark.sim)])
def test_weights_in_a_memory_write_the_same_tokens(run, tiny_llama, device):
    args = (tiny_llama, "--prompt", PROMPT, "--tokens", 6, "--json", "--device", device)
    plain = json.loads(run(*args)[1])
    status, out, errors = run(*args, "--memory", 1)
    assert status == 0
    assert json.loads(out)["token_ids"] == plain["token_ids"]
    assert "The device's memory has the weights: a token sends" in errors


def test_an_engine_with_bins_writes_the_same_tokens_of_fewer_results(run, tiny_llama, tmp_path):
    reports = []
    for bins in (0, 2):
        config = tmp_path / f"{bins}.json"
        engine = dataclasses.replace(DEFAULT_CONFIG, stream_bits=128, bin_tiles=bins)
        config.write_text(engine.to_json())
        args = (tiny_llama, "--prompt", PROMPT, "--tokens", 8, "--config", config, "--json")
        every = json.loads(run(*args, "--temperature", 1)[1])
        reports += [json.loads(run(*args)[1]), every]
    plain, chance, few, binned_chance = reports
    every = json.loads(run(*args, "--logits")[1])
    assert every["token_ids"] == plain["token_ids"]
    assert every["answer_bytes_per_token"] == plain["answer_bytes_per_token"]
    assert few["token_ids"] == plain["token_ids"]
    assert binned_chance["token_ids"] == chance["token_ids"]
    assert few["answer_bytes_per_token"] < plain["answer_bytes_per_token"]
    assert binned_chance["answer_bytes_per_token"] == chance["answer_bytes_per_token"]


def test_a_benchmark_counts_the_results_that_such_an_engine_sends(run, tiny_llama, tmp_path):
    engine = dataclasses.replace(DEFAULT_CONFIG, stream_bits=128, bin_tiles=2)
    config = tmp_path / "engine.json"
    config.write_text(engine.to_json())
    args = (tiny_llama, "--prompt", PROMPT, "--tokens", 4, "--config", config, "--json")
    report = json.loads(run(*args, "--memory", 1)[1])
    suite = Suite(SummandModel(tiny_llama), Options(simulate=False, tokens=0))
    outcome = suite.run(Named("bins", engine))
    assert outcome.traffic.up == report["answer_bytes_per_token"]
    plain = suite.run(Named("plain", dataclasses.replace(engine, bin_tiles=0)))
    assert outcome.traffic.up < plain.traffic.up


def test_a_memory_that_is_a_boards(run, tiny_llama):
    args = ("--device", "serial:nowhere", "--board", "ulx3s-85f", "--memory", 1)
    status, _, errors = run(tiny_llama, "--prompt", PROMPT, *args)
    assert status == 2
    said = "--memory is of golden, sim and xdma; the board at serial:nowhere says what it has"
    assert said in errors


def test_figures_add_up(run, tiny_llama):
    report = json.loads(run(tiny_llama, "--prompt", PROMPT, "--tokens", 5, "--json")[1])
    prefill, decode = report["prefill"], report["decode"]
    assert report["speculation"]["passes"] == 4
    assert prefill["calls"] == 9  # q+k+v, o, gate+up, down in each block, and the head
    assert decode["calls"] == 4 * 9
    assert prefill["tokens"] == 8 * len(PROMPT) + 1  # the head sees the last token only
    assert report["stream_bits_per_token"] == decode["stream_bits"] / 4
    assert report["cycles_per_token"] is None  # the golden model has no clock
    whole = sum(kind["stream_bits"] for kind in report["profile"].values())
    assert whole == prefill["stream_bits"] + decode["stream_bits"]
    assert "model.layers.*.self_attn.q_proj+k_proj+v_proj" in report["profile"]
    # All bits of the weights go through the stream, padding and headers on top.
    weights = sum(entry.bits for entry in SummandModel(tiny_llama).manifest.layers)
    assert report["stream_bits_per_token"] > weights


@pytest.mark.sim
def test_profile_has_the_law_beside_what_was_counted(run, tiny_llama):
    args = (tiny_llama, "--prompt", PROMPT, "--tokens", 4, "--json")
    golden, sim = (json.loads(run(*args, "--device", d)[1])["profile"] for d in ("golden", "sim"))
    assert golden.keys() == sim.keys()
    for name, row in sim.items():
        assert row["law_equal"] is True
        assert row["modelled"]["counters"] == row["counters"]
        assert row["stream_share"] == row["beats"] / row["counters"]["cycles"]
        # The golden model counts nothing; the law gives the same cycles for it.
        assert golden[name]["law_equal"] is None
        assert golden[name]["stream_share"] is None
        assert golden[name]["modelled"] == row["modelled"]


def test_text_goes_to_output_and_figures_to_errors(run, tiny_llama):
    args = (tiny_llama, "--prompt", PROMPT, "--tokens", 5)
    text = json.loads(run(*args, "--json")[1])["text"]
    status, out, err = run(*args, "--profile")
    assert status == 0
    assert out == text + "\n"
    assert "5 tokens after 9 of prompt" in err
    assert "Cost by layers" in err
    assert "by the" in err


def test_one_token_is_figured_from_the_prompt(run, tiny_llama):
    report = json.loads(run(tiny_llama, "--prompt", PROMPT, "--tokens", 1, "--json")[1])
    assert report["speculation"]["passes"] == 0
    assert report["stream_bits_per_token"] == report["prefill"]["stream_bits"] / len(PROMPT)


def test_temperature_takes_chances_that_the_seed_fixes(run, tiny_llama):
    def write(seed):
        args = ("--temperature", 2, "--seed", seed, "--tokens", 8, "--json")
        return json.loads(run(tiny_llama, "--prompt", PROMPT, *args)[1])["token_ids"]

    assert write(1) == write(1)
    assert write(1) != write(2)


def test_model_packed_for_another_engine(run, tiny_llama, tmp_path):
    config = tmp_path / "engine.json"
    config.write_text(dataclasses.replace(DEFAULT_CONFIG, shift=2).to_json())
    status, out, err = run(tiny_llama, "--prompt", PROMPT, "--config", config)
    assert (status, out) == (2, "")
    assert "acc_shift 4, but the engine's shift is 2; compress it again" in err


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--tokens", 200), "9 tokens and 200 more exceed the model's context of 64"),
        (("--chat",), "tokenizer has no chat template"),
        (("--config", "nowhere.json"), "cannot read nowhere.json"),
        (("--device", "fpga"), "fpga"),
        (("--tokens", 0), "Invalid value for '--tokens'"),
        (("--tokens", 10**30), "exceed the model's context of 64"),
        (("--seed", 2**64), "Invalid value for '--seed'"),
        (("--temperature", "1e-320"), "--temperature must be 0, or 0.0001 to 10000, not 9.99"),
        (("--temperature", "nan"), "--temperature must be 0, or 0.0001 to 10000, not nan"),
        (("--temperature", "inf"), "--temperature must be 0, or 0.0001 to 10000, not inf"),
        (("--temperature", "-1"), "--temperature must be 0, or 0.0001 to 10000, not -1"),
    ],
)
def test_bad_options(run, tiny_llama, args, text):
    status, out, err = run(tiny_llama, "--prompt", PROMPT, *args)
    assert (status, out) == (2, "")
    assert text in err
    assert "Traceback" not in err


def test_a_prompt_that_is_no_text(run, tiny_llama):
    status, _, err = run(tiny_llama, "--prompt", "ab\udcff")
    assert status == 2
    assert "--prompt must be UTF-8; the character at 3 is none" in err


def test_folder_that_is_no_model(run, tmp_path):
    status, _, err = run(tmp_path, "--prompt", PROMPT)
    assert status == 2
    assert "no Summand model" in err


def test_damaged_weights(run, tiny_llama, tmp_path):
    copy = shutil.copytree(tiny_llama, tmp_path / "copy")
    raw = bytearray((copy / "layers.safetensors").read_bytes())
    raw[-1] ^= 1
    (copy / "layers.safetensors").write_bytes(raw)
    status, _, err = run(copy, "--prompt", PROMPT)
    assert status == 2
    assert "layers.safetensors does not match its checksum" in err


def test_cache_and_whole_text_agree(tiny_llama):
    """Token by token over the KV cache gives what one call over the whole text gives."""
    with Driver(GoldenDevice(DEFAULT_CONFIG)) as driver:
        loaded = load_model(SummandModel(tiny_llama), driver)
        model = loaded.model
        tokens = list(Writer(model, loaded.lanes).write([5, 6, 7], tokens=6))
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[5, 6, 7, *tokens[:-1]]])).logits[0]
        assert logits.argmax(-1)[2:].tolist() == tokens
