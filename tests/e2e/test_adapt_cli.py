import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from summand.cli import main
from summand.decoding import Writer
from summand.model import SummandModel
from summand.model.adapters import Adapter
from summand.model.manifest import seal
from summand.runtime import Driver, GoldenDevice
from summand.runtime.load import load_model
from summand.schedule.fit import DEFAULT_CONFIG
from summand.summands.lowrank import LowRank

PROMPT = "Hello you"
#: Modules of the small Llamas, with their features.
QUERIES = {f"model.layers.{i}.self_attn.q_proj": (32, 32) for i in range(2)}
VALUES = {f"model.layers.{i}.self_attn.v_proj": (32, 16) for i in range(2)}
#: To calibrate on.
TOKENS = 512


@pytest.fixture(scope="session")
def compressed(save_llama: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama, compressed by the command: balanced and rotated, without low-rank summands."""
    output = tmp_path_factory.mktemp("compressed") / "base"
    args = ("compress", save_llama(blocks=2), "-o", output, "--bits", 4)
    assert main([*map(str, args), "--calibration-tokens", str(TOKENS)]) == 0
    return output


@pytest.fixture(scope="session")
def lora(save_lora: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lora(tmp_path_factory.mktemp("lora") / "peft", QUERIES | VALUES)


@pytest.fixture(scope="session")
def adapted(compressed: Path, lora: Path) -> Path:
    """The adapter as summands of the model."""
    output = compressed.parent / "adapter"
    args = ["adapt", str(compressed), "--adapter", str(lora), "-o", str(output)]
    assert main(args) == 0
    return output


@pytest.fixture
def adapt(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command and gives status, output and errors."""

    def call(*args: object):
        status = main(["adapt", *map(str, args)])
        out, err = capsys.readouterr()
        return status, out, " ".join(err.split())

    return call


def run(capsys: pytest.CaptureFixture[str], *args: object) -> dict:
    assert main(["run", *map(str, args), "--prompt", PROMPT, "--tokens", "6", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def checksums(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def matrix_of(lora: Path, name: str, *, scale: float) -> torch.Tensor:
    tensors = load_file(lora / "adapter_model.safetensors")
    a, b = (tensors[f"base_model.model.{name}.lora_{w}.weight"] for w in "AB")
    return scale * b @ a


def test_what_is_added_is_the_adapter_and_the_base_keeps_its_integers(compressed, lora, adapted):
    base = SummandModel(compressed)
    adapter = Adapter(adapted, base)
    assert set(adapter.names) == set(QUERIES | VALUES)
    rng = np.random.default_rng(0)
    for before, after in zip(base.layers(), adapter.layers(), strict=True):
        if before.name not in adapter.names:
            assert after.summands[0].shape == before.summands[0].shape
            assert len(after.summands) == len(before.summands)
            continue
        *same, added = after.summands
        assert isinstance(added, LowRank)
        assert (added.a_bits, added.b_bits, added.rank) == (8, 8, 4)
        np.testing.assert_array_equal(np.ldexp(after.scale, added.acc_shift), before.scale)
        xq = rng.integers(-128, 128, (5, 32))
        alone = before.accumulate(xq) << added.acc_shift
        product = added.accumulate(xq.astype(np.int64), after.act_bits)
        np.testing.assert_array_equal(after.accumulate(xq), alone + product)
        # alpha / r is 2; the sum behind the transform is that of the factors.
        delta = matrix_of(lora, before.name, scale=2.0).numpy()
        x = rng.normal(size=(200, 32)).astype(np.float32)
        gain = after.forward(x) - before.forward(x)
        assert np.linalg.norm(gain - x @ delta.T) < 0.03 * np.linalg.norm(x @ delta.T)


def test_the_base_is_shared_and_stays_as_it_is(compressed, lora, adapt, tmp_path):
    before = checksums(compressed)
    status, out, _ = adapt(compressed, "--adapter", lora, "-o", tmp_path / "out", "--json")
    assert status == 0
    assert checksums(compressed) == before
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "adapter.safetensors",
    }
    report = json.loads(out)
    assert report["base"] == json.loads((compressed / "manifest.json").read_text())["checksum"]
    assert report["streamed_bits"] == sum(4 * (k + n) * 8 for k, n in (QUERIES | VALUES).values())
    assert report["options"]["calibration"]["tokens"] == TOKENS
    with safe_open(tmp_path / "out" / "adapter.safetensors", framework="numpy") as file:
        assert len(file.keys()) == 4 * len(QUERIES | VALUES)


def test_the_same_command_writes_the_same_bytes(compressed, lora, adapted, adapt, tmp_path):
    assert adapt(compressed, "--adapter", lora, "-o", tmp_path / "out")[0] == 0
    assert checksums(tmp_path / "out") == checksums(adapted)


def test_text_is_that_of_the_adapted_layers_and_without_it_that_of_the_base(
    compressed, adapted, tmp_path, capsys
):
    plain = run(capsys, compressed)
    with_it = run(capsys, compressed, "--adapter", adapted)
    assert plain["adapter"] is None
    assert with_it["adapter"] == str(adapted)
    assert with_it["token_ids"] != plain["token_ids"]
    assert with_it["stream_bits_per_token"] > plain["stream_bits_per_token"]
    source = SummandModel(compressed)
    adapter = Adapter(adapted, source)
    with Driver(GoldenDevice(DEFAULT_CONFIG)) as driver:
        loaded = load_model(source, driver)
        ids = loaded.tokenizer(PROMPT)["input_ids"]

        def write() -> list[int]:
            return list(Writer(loaded.model, loaded.lanes).write(ids, tokens=6))

        assert write() == plain["token_ids"]
        loaded.add_adapter("mine", adapter)
        assert write() == plain["token_ids"]
        loaded.use_adapter("mine")
        assert write() == with_it["token_ids"]
        loaded.use_adapter(None)
        assert write() == plain["token_ids"]


@pytest.mark.sim
def test_simulated_verilog_writes_the_same_with_an_adapter(compressed, adapted, capsys):
    golden, sim = (
        run(capsys, compressed, "--adapter", adapted, "--device", d) for d in ("golden", "sim")
    )
    assert sim["token_ids"] == golden["token_ids"]
    assert all(row["law_equal"] for row in sim["profile"].values())


def evaluate(capsys: pytest.CaptureFixture[str], *args: object) -> dict:
    assert main(["evaluate", *map(str, args), "--tokens", "200", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_is_evaluated_beside_the_adapter_in_floating_point(
    compressed, lora, adapt, tmp_path, capsys
):
    """The reference's perplexity is that of the source with the factors added to its weights."""
    adapted = tmp_path / "adapter"
    assert adapt(compressed, "--adapter", lora, "-o", adapted)[0] == 0
    alone = evaluate(capsys, compressed)
    found = evaluate(capsys, compressed, "--adapter", adapted)
    merged = shutil.copytree(SummandModel(compressed).manifest.source["path"], tmp_path / "merged")
    weights = load_file(merged / "model.safetensors")
    for name in QUERIES | VALUES:
        weights[f"{name}.weight"] += matrix_of(lora, name, scale=2.0)
    save_file(weights, merged / "model.safetensors", metadata={"format": "pt"})
    plain = evaluate(capsys, merged)
    assert found["reference_perplexity"] == pytest.approx(plain["perplexity"], rel=1e-4)
    assert found["reference_perplexity"] != pytest.approx(alone["reference_perplexity"], rel=1e-3)
    assert 0 < found["kl_divergence"] < 0.2
    assert found["bits_per_weight"] > alone["bits_per_weight"]
    assert (alone["adapter"], found["adapter"]) == (None, str(adapted))
    assert found["report"] == f"Report in {adapted / 'report.html'}"
    assert adapt(compressed, "--adapter", lora, "-o", adapted)[0] == 0  # the report is in no way


def test_without_the_adapter_in_floating_point_there_is_perplexity_only(
    compressed, lora, adapt, tmp_path, capsys
):
    peft = shutil.copytree(lora, tmp_path / "peft")
    out = tmp_path / "out"
    assert adapt(compressed, "--adapter", peft, "-o", out)[0] == 0
    shutil.copytree(lora, peft, dirs_exist_ok=True)
    tensors = load_file(peft / "adapter_model.safetensors")
    name = next(iter(tensors))
    save_file(tensors | {name: 2 * tensors[name]}, peft / "adapter_model.safetensors")
    found = evaluate(capsys, compressed, "--adapter", out)
    assert found["kl_divergence"] is found["reference_perplexity"] is None
    assert "is no longer the adapter that was made summands" in found["no_reference"]
    shutil.rmtree(peft)
    found = evaluate(capsys, compressed, "--adapter", out)
    assert found["no_reference"] == f"the adapter in floating point is no longer at {peft}"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("SOURCE",), "--adapter goes with a Summand model"),
        (("MODEL", "--baselines"), "leave out --baselines or --adapter"),
    ],
)
def test_what_an_adapter_is_not_evaluated_with(compressed, adapted, capsys, args, why):
    source = SummandModel(compressed).manifest.source["path"]
    named = {"SOURCE": source, "MODEL": compressed}
    command = ["evaluate", *(str(named.get(arg, arg)) for arg in args)]
    assert main([*command, "--adapter", str(adapted)]) == 2
    assert why in " ".join(capsys.readouterr().err.split())


def test_a_base_with_low_rank_summands_keeps_its_shift(tiny_llama, lora, adapt, tmp_path, capsys):
    """There the accumulators are shifted already, so that the adapter is added as they are."""
    args = ("--adapter", lora, "-o", tmp_path / "out", "--calibration-tokens", TOKENS)
    assert adapt(tiny_llama, *args, "--acc-shift", 2)[0] == 0
    adapter = Adapter(tmp_path / "out", SummandModel(tiny_llama))
    assert {entry.summand.acc_shift for entry in adapter.manifest.layers} == {0}
    assert adapter.manifest.options["acc_shift"] == 4
    assert {len(entry.summands) for entry in adapter.adapted.layers} == {2, 3}
    assert run(capsys, tiny_llama, "--adapter", tmp_path / "out")["tokens"] == 6


@pytest.fixture
def small(compressed, save_lora, adapt, tmp_path) -> Path:
    """An adapter that adds less than a step of the model's accumulators at most places."""
    lora = save_lora(tmp_path / "small", QUERIES | VALUES, size=0.003)
    assert adapt(compressed, "--adapter", lora, "-o", tmp_path / "adapter")[0] == 0
    return tmp_path / "adapter"


def test_accumulators_are_shifted_for_a_small_adapter(compressed, small, capsys):
    base = SummandModel(compressed)
    adapter = Adapter(small, base)
    assert {entry.summand.acc_shift for entry in adapter.manifest.layers} == {4}
    rng = np.random.default_rng(0)
    for before, after in zip(base.layers(), adapter.layers(), strict=True):
        if before.name in adapter.names:
            xq = rng.integers(-128, 128, (5, 32))
            added = after.summands[-1].accumulate(xq.astype(np.int64), after.act_bits)
            whole = after.accumulate(xq)
            np.testing.assert_array_equal(whole, (before.accumulate(xq) << 4) + added)
            np.testing.assert_array_equal(after.scale * np.float32(16), before.scale)
            assert after.acc_bits == adapter.adapted.layers[base.names.index(after.name)].acc_bits
    assert run(capsys, compressed, "--adapter", small)["tokens"] == 6


def test_an_engine_without_the_shift_is_refused(compressed, small, tmp_path, capsys):
    config = tmp_path / "engine.json"
    config.write_text(dataclasses.replace(DEFAULT_CONFIG, shift=3).to_json())
    args = ["run", str(compressed), "--adapter", str(small), "--config", str(config)]
    assert main([*args, "--prompt", PROMPT]) == 2
    assert "compressed with acc_shift 4, but the engine's shift is 3" in capsys.readouterr().err


def test_a_narrow_engine_is_named(compressed, lora, adapt, tmp_path):
    args = (compressed, "--adapter", lora, "-o", tmp_path / "out", "--acc-bits", 16)
    status, _, err = adapt(*args)
    assert status == 2
    assert "accumulators of more than 16 bits; raise acc_bits" in err
    assert not (tmp_path / "out").exists()


def test_another_model_has_other_adapters(compressed, adapted, tiny_llama, capsys):
    args = ["run", str(tiny_llama), "--adapter", str(adapted), "--prompt", PROMPT]
    assert main(args) == 2
    err = capsys.readouterr().err
    assert "is an adapter for another model than" in err
    assert main(["run", str(adapted), "--prompt", PROMPT]) == 2
    assert "format must be 'summand-model'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("use_dora", True, "use_dora scales the columns of the whole weight"),
        ("modules_to_save", ["lm_head"], "modules_to_save replaces modules"),
        ("bias", "lora_only", "bias must be 'none', not 'lora_only'"),
        ("peft_type", "IA3", "peft_type must be 'LORA', not 'IA3'"),
        ("r", 5, "must be of shape [5, K] by adapter_config.json, not [4, 32]"),
        ("rank_pattern", {"q_proj": 2}, "must be of shape [2, K]"),
        ("target_modules", ["q_proj"], "is none of adapter_config.json's target_modules"),
    ],
)
def test_what_cannot_be_expressed_is_named_before_any_work(
    compressed, lora, adapt, tmp_path, field, value, why
):
    peft = tmp_path / "peft"
    shutil.copytree(lora, peft)
    raw = json.loads((peft / "adapter_config.json").read_text())
    (peft / "adapter_config.json").write_text(json.dumps({**raw, field: value}))
    status, out, err = adapt(compressed, "--adapter", peft, "-o", tmp_path / "out")
    assert status == 2
    assert not out
    assert why in err
    assert err.count("summand:") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["peft"]


def test_modules_of_another_model_are_named(compressed, save_lora, adapt, tmp_path):
    queries = list(QUERIES)
    cases = {
        "features": ({queries[0]: (32, 64), queries[1]: (32, 32)}, "must map 32 features to 32"),
        "none": ({"model.layers.7.self_attn.q_proj": (32, 32)}, "is no compressed layer of"),
        "norm": ({"model.norm": (32, 32)}, "it stays on the host, works element by element"),
        "half": ({queries[0]: (32, 32)}, f"it has no factors for {queries[1]}"),
    }
    for name, (shapes, why) in cases.items():
        peft = save_lora(tmp_path / name, shapes)
        status, _, err = adapt(compressed, "--adapter", peft, "-o", tmp_path / "out")
        assert (status, why in err) == (2, True), err
    assert not (tmp_path / "out").exists()


def test_numbers_that_are_not_finite_are_refused(compressed, lora, adapt, tmp_path):
    peft = tmp_path / "peft"
    shutil.copytree(lora, peft)
    tensors = load_file(peft / "adapter_model.safetensors")
    name = next(name for name in tensors if "lora_B" in name)
    tensors[name][0, 0] = torch.inf
    save_file(tensors, peft / "adapter_model.safetensors")
    status, _, err = adapt(compressed, "--adapter", peft, "-o", tmp_path / "out")
    assert status == 2
    assert f"tensor {name} holds numbers that are not finite" in err
    assert not (tmp_path / "out").exists()


def test_other_folders_are_left_alone(compressed, lora, adapt, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    for place in (tmp_path / "notes", compressed):
        status, _, err = adapt(compressed, "--adapter", lora, "-o", place)
        assert status == 2
        assert "is no adapter of a Summand model, and is left as it is" in err
    assert (compressed / "layers.safetensors").exists()


def test_a_text_that_is_not_here_is_asked_for(compressed, lora, adapt, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(compressed, base)
    raw = json.loads((base / "manifest.json").read_text())
    del raw["checksum"]
    raw["options"]["calibration"] |= {"sha256": "0" * 64, "text": "notes.txt"}
    (base / "manifest.json").write_text(json.dumps({**raw, "checksum": seal(raw)}))
    args = (base, "--adapter", lora, "-o", tmp_path / "out")
    status, _, err = adapt(*args)
    assert status == 2
    assert "was calibrated on another text (notes.txt)" in err
    text = tmp_path / "notes.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20)
    assert adapt(*args, "--calibration", text, "--bits", 4)[0] == 0
    made = Adapter(tmp_path / "out", SummandModel(base))
    assert made.manifest.options["calibration"]["text"] == "notes.txt"
    assert {entry.summand.label() for entry in made.manifest.layers} == {"rank 4, 4 bits"}
