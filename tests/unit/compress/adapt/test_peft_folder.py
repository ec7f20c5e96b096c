import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from summand.compress import CompressError
from summand.compress.adapt import PeftFolder
from summand.isa import SummandError

QUERY, VALUE = (f"model.layers.0.self_attn.{w}_proj" for w in "qv")
FILE = "adapter_model.safetensors"


@pytest.fixture
def folder(save_lora, tmp_path):
    return save_lora(tmp_path / "peft", {QUERY: (12, 10), VALUE: (12, 6)})


def change(folder, edit) -> None:
    tensors = load_file(folder / FILE)
    edit(tensors)
    save_file(tensors, folder / FILE)


def tensor(module: str, which: str) -> str:
    return f"base_model.model.{module}.lora_{which}.weight"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_factors_are_read_with_their_scale(folder, dtype):
    change(folder, lambda t: t.update({name: x.to(dtype) for name, x in t.items()}))
    adapter = PeftFolder(folder)
    assert adapter.shapes == {QUERY: (12, 10), VALUE: (12, 6)}
    tensors = load_file(folder / FILE)
    a, b = (tensors[tensor(VALUE, w)].double() for w in "AB")
    found = adapter.factors(VALUE)
    assert found.rank == 4
    torch.testing.assert_close(found.delta.double(), 2 * b @ a, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found.of(torch.tensor([4, 2])).delta, found.delta[[4, 2]])


def test_a_rank_of_its_own(folder, save_lora):
    raw = json.loads((folder / "adapter_config.json").read_text())
    raw["rank_pattern"], raw["alpha_pattern"] = {"v_proj": 2}, {"v_proj": 3}
    (folder / "adapter_config.json").write_text(json.dumps(raw))
    with pytest.raises(CompressError, match=r"v_proj.lora_A.weight must be of shape \[2, K\] by"):
        PeftFolder(folder)

    def cut(tensors):
        tensors[tensor(VALUE, "A")] = tensors[tensor(VALUE, "A")][:2].clone()
        tensors[tensor(VALUE, "B")] = tensors[tensor(VALUE, "B")][:, :2].clone()

    change(folder, cut)
    tensors = load_file(folder / FILE)
    want = 1.5 * tensors[tensor(VALUE, "B")] @ tensors[tensor(VALUE, "A")]
    torch.testing.assert_close(PeftFolder(folder).factors(VALUE).delta, want)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("base_model.model.model.embed_tokens.lora_embedding_A", "adapts an embedding"),
        (f"base_model.model.{QUERY}.lora_magnitude_vector", "is of DoRA"),
        (f"base_model.model.{QUERY}.lora_B.bias", "is a factor's bias"),
        (f"base_model.model.{QUERY}.base_layer.bias", "is no factor of a linear layer"),
        ("base_model.model.lm_head.modules_to_save.weight", "is no factor of a linear layer"),
        (f"{QUERY}.lora_A.weight", "is no factor of a linear layer"),
    ],
)
def test_tensors_that_are_no_factors_are_named(folder, name, why):
    change(folder, lambda t: t.update({name: torch.ones(4, 4)}))
    with pytest.raises(CompressError, match=f"tensor {name} {why}"):
        PeftFolder(folder)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda t: t.pop(tensor(QUERY, "B")), r"q_proj.lora_B.weight is missing"),
        (lambda t: t.update({tensor(QUERY, "A"): torch.ones(4)}), r"shape \[4, K\] .* not \[4\]"),
        (lambda t: t.update({tensor(QUERY, "B"): torch.ones(0, 4)}), r"not \[0, 4\]"),
        (lambda t: t.update({tensor(QUERY, "A"): torch.ones(4, 12, dtype=torch.int8)}), "not I8"),
        (lambda t: t.clear(), "it holds no factors"),
        (
            lambda t: [t.pop(tensor(VALUE, w)) for w in "AB"],
            "it has no factors for v_proj of adapter_config.json's target_modules",
        ),
    ],
)
def test_factors_that_do_not_fit(folder, edit, why):
    change(folder, edit)
    with pytest.raises(CompressError, match=why):
        PeftFolder(folder)


@pytest.mark.parametrize(
    ("value", "why"),
    [(torch.nan, "numbers that are not finite"), (3e38, "its factors are too large for float32")],
)
def test_numbers_that_no_training_gives(folder, value, why):
    change(folder, lambda t: t[tensor(QUERY, "B")].fill_(value))
    adapter = PeftFolder(folder)
    with pytest.raises(CompressError, match=why):
        adapter.factors(QUERY)


def test_files_that_are_missing_or_damaged(folder):
    data = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(data[:-8])
    with pytest.raises(CompressError, match=f"{FILE}: .*copy the adapter's folder again"):
        PeftFolder(folder)
    (folder / FILE).unlink()
    with pytest.raises(SummandError, match=f"{FILE}: .*copy the adapter's folder again"):
        PeftFolder(folder)
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(CompressError, match="is a pickle, which is never read"):
        PeftFolder(folder)
