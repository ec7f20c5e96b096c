"""Rules of a quantised folder's configuration for single layers, read here in another way.

The library that such a folder is made for is another one; its reading of a layer is written down
here number by number, and the model that comes out compared with transformers' own by its logits.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from summand.compress import CompressError, open_source

from .conftest import Writer
from .test_folders import GPTQ, PACKED, gptq, packed, packed_config

IDS = torch.arange(3, 43)[None] * 5 % 256


def mixed(default, **others):
    """Return a writer for ``quantised_folder`` that picks another one where a path has a part."""

    def write(name, weight, rng):
        writer = next((w for part, w in others.items() if part in name), default)
        return writer(weight, rng) if writer else None

    return write


@pytest.fixture
def write_folder(llama_folder: Path, tmp_path: Path):
    """Return a function that writes the Llama's folder, each layer by what ``mixed`` picks."""

    def write(pick, config) -> Path:
        path = tmp_path / "mixed"
        shutil.copytree(llama_folder, path)
        state, rng = {}, np.random.default_rng(5)
        for name, tensor in load_file(path / "model.safetensors").items():
            layer = name.removesuffix(".weight")
            found = pick(layer, tensor.numpy(), rng) if layer.endswith("_proj") else None
            if found is None:
                state[name] = tensor
            else:
                state |= {f"{layer}.{p}": t.contiguous() for p, t in found[0].items()}
        save_file(state, path / "model.safetensors")
        raw = json.loads((path / "config.json").read_text())
        raw["quantization_config"] = config
        (path / "config.json").write_text(json.dumps(raw))
        return path

    return write


def numbers(words: torch.Tensor, bits: int) -> list[list[int]]:
    """Return the integers in each row of int32 words, the lowest bits of the first word first."""
    rows = []
    for row in words.tolist():
        stream = sum((word % 2**32) << (32 * i) for i, word in enumerate(row))
        rows.append([stream >> at & (2**bits - 1) for at in range(0, 32 * len(row), bits)])
    return rows


def gptq_row(tensors, layer: str, output: int, bits: int) -> list[float]:
    """Return the weights of an output feature of GPTQ's."""
    q = numbers(tensors[f"{layer}.qweight"].T, bits)[output]
    z = [row[output] for row in numbers(tensors[f"{layer}.qzeros"], bits)]
    s = tensors[f"{layer}.scales"][:, output].tolist()
    g_idx = tensors[f"{layer}.g_idx"].tolist()
    return [(v - (z[g] + 1) % 2**bits) * s[g] for v, g in zip(q, g_idx, strict=True)]


def packed_row(tensors, layer: str, output: int, bits: int) -> list[float]:
    """Return the weights of an output feature of compressed-tensors', without zero points."""
    k = tensors[f"{layer}.weight_shape"].tolist()[1]
    q = numbers(tensors[f"{layer}.weight_packed"], bits)[output][:k]
    s = tensors[f"{layer}.weight_scale"][output].tolist()
    return [(v - 2 ** (bits - 1)) * s[i * len(s) // k] for i, v in enumerate(q)]


def floats_of(path: Path, bits_of, row_of) -> dict[str, torch.Tensor]:
    """Return a folder's weights, those of quantised layers row by row."""
    tensors = load_file(path / "model.safetensors")
    state = {n: t for n, t in tensors.items() if n.endswith(".weight")}
    for name in tensors:
        layer, _, part = name.rpartition(".")
        if part in ("qweight", "weight_packed"):
            outputs = tensors[name].shape[part == "qweight"]
            rows = [row_of(tensors, layer, o, bits_of(layer)) for o in range(outputs)]
            state[f"{layer}.weight"] = torch.tensor(rows)
    return state


def expected_logits(llama_folder: Path, state) -> torch.Tensor:
    """Return what transformers' model computes with these weights."""
    model = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}  # tied
    with torch.no_grad():
        return model(IDS).logits


def assert_read_as(path: Path, llama_folder: Path, row_of) -> None:
    state = floats_of(path, lambda layer: 8 if "down_proj" in layer else 4, row_of)
    want = expected_logits(llama_folder, state)
    with torch.no_grad():
        got = open_source(str(path)).module(IDS).logits
    assert torch.allclose(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


@pytest.mark.parametrize(
    "dynamic",
    [
        {r"+:.*\.down_proj": {"bits": 8, "group_size": 40}},
        {r".*\.down_proj": {"bits": 8, "group_size": 40, "desc_act": False, "sym": True}},
        {
            r"-:.*q_proj": {},
            r"model\.layers\.[01]\.mlp\.down": {"bits": 8, "group_size": 40},
            r".*down_proj": {"bits": 2},
        },
    ],
)
def test_rules_of_gptq_are_for_the_layers_they_match(write_folder, llama_folder, dynamic):
    others: dict[str, Writer | None] = {"down_proj": gptq(bits=8, group=40, zero=True)}
    if any(rule.startswith("-:") for rule in dynamic):
        others["q_proj"] = None
    path = write_folder(mixed(gptq(), **others), GPTQ | {"dynamic": dynamic})
    assert_read_as(path, llama_folder, gptq_row)


@pytest.mark.parametrize(
    ("dynamic", "match"),
    [
        ({}, r"down_proj: its qweight is of shape \(20, 48\), but 4 bits in groups of 16"),
        ({".*down_proj": {"bits": 8, "group_size": 20}}, r"its qzeros is of shape .*groups of 20"),
        ({"-:.*down_proj": {}}, r"dynamic\['-:\.\*down_proj'\] says that .*down_proj is not quan"),
        ({"down_proj": {"bits": 8}}, r"its qweight is of shape"),  # matches no path from its start
        ({".*down_proj": {"bits": 5}}, r"dynamic\['\.\*down_proj'\]\.bits must be 2, 3, 4 or 8"),
        ({".*down_proj": {"bits": 8, "adapter": {"rank": 4}}}, r"adapter is not understood"),
        ({"(": {}}, r"dynamic\['\('\] has '\(', which is no regular"),
        ({".*": 3}, r"must be an object, not 3"),
    ],
)
def test_rules_of_gptq_that_contradict_the_tensors(write_folder, dynamic, match):
    path = write_folder(
        mixed(gptq(), down_proj=gptq(bits=8, group=40)), GPTQ | {"dynamic": dynamic}
    )
    with pytest.raises(CompressError, match=match):
        open_source(str(path))


def groups(**schemes):
    return PACKED | {
        "config_groups": {
            name: {"targets": targets, "weights": weights}
            for name, (targets, weights) in schemes.items()
        }
    }


FOUR, EIGHT = {"num_bits": 4, "group_size": 16}, {"num_bits": 8, "group_size": -1}
DOWN = [f"model.layers.{i}.mlp.down_proj" for i in range(2)]


@pytest.mark.parametrize(
    "config",
    [
        groups(a=(["Linear"], FOUR), b=(["re:.*down_proj$"], EIGHT)),
        groups(a=(["re:.*down_proj$"], EIGHT), b=(["Linear"], FOUR)),
        groups(a=(["re:.*proj"], FOUR), b=(DOWN, EIGHT)),
        groups(a=(["re:.*down"], EIGHT), b=(["re:.*proj"], FOUR)),
    ],
)
def test_groups_of_compressed_tensors_are_for_their_targets(write_folder, llama_folder, config):
    writer = mixed(packed(), down_proj=packed(bits=8, group=0), q_proj=None)
    path = write_folder(writer, config | {"ignore": ["lm_head", "re:.*q_proj"]})
    assert_read_as(path, llama_folder, packed_row)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (PACKED, r"down_proj: its weight_packed is of shape \(48, 20\), but 4 bits with groups"),
        (groups(a=(["re:.*(q|k|v|o|up|gate)_proj"], FOUR)), r"no target of .* is .*down_proj"),
        (
            groups(a=(["Linear"], FOUR), b=(DOWN, EIGHT | {"group_size": 20})),
            r"its weight_scale is of shape \(48, 1\), but 8 bits with groups of 20",
        ),
        (
            groups(a=(["Linear"], FOUR), b=(DOWN, EIGHT)) | {"ignore": DOWN},
            r"ignore has 'model\.layers\.\d\.mlp\.down_proj', but the checkpoint has integers",
        ),
        (groups(a=(["re:("], FOUR)), r"a\.targets has '\(', which is no regular expression"),
        (
            groups(a=(["re:(.|.)+[A-Z]"], FOUR)),
            r"takes more than 1 s to compare with model\.layers",
        ),
    ],
)
def test_groups_of_compressed_tensors_that_contradict_the_tensors(write_folder, config, match):
    path = write_folder(mixed(packed(), down_proj=packed(bits=8, group=0)), config)
    with pytest.raises(CompressError, match=match):
        open_source(str(path))


@pytest.mark.parametrize(
    ("writer", "config", "match"),
    [
        (packed(zero="plain"), PACKED, "has zero points, which config.json contradicts"),
        (packed(), packed_config(group_size=16, symmetric=False), "has no zero points, which"),
    ],
)
def test_zero_points_that_the_configuration_denies(quantised_folder, writer, config, match):
    path, _ = quantised_folder(writer, config)
    with pytest.raises(CompressError, match=match):
        open_source(str(path))


ROTATED = {"config_groups": {"r": {"type": "hadamard", "apply": [{"targets": ["Linear"]}]}}}
WEIGHTS = "quantization_config.config_groups.group_0.weights"


@pytest.mark.parametrize(
    ("config", "what"),
    [
        (PACKED | {"transform_config": ROTATED}, "transform_config is not understood"),
        (
            PACKED | {"sparsity_config": {"format": "sparse-24-bitmask"}},
            "quantization_config.format",
        ),
        (PACKED | {"sparsity_config": {"format": "sparse-48"}}, "sparsity_config.format"),
        (PACKED | {"kv_cache_scheme": {"num_bits": 8}}, "kv_cache_scheme is not understood"),
        (packed_config(group_size=16, type="float"), f"{WEIGHTS}.type must be int"),
        (packed_config(group_size=16, dynamic=True), f"{WEIGHTS}.dynamic must be False"),
        (packed_config(strategy="block"), f"{WEIGHTS}.strategy must be tensor or channel or group"),
        (packed_config(group_size=16, block_structure=[2, 2]), "block_structure is not underst"),
        (packed_config(num_bits="4"), f"{WEIGHTS}.num_bits must be a whole number of 1 or more"),
        (PACKED | {"config_groups": {"W4A16": ["Linear"]}}, "config_groups.W4A16 must be an obj"),
        (PACKED | {"format": "mixed-precision"}, "config_groups.group_0.format must be pack-quant"),
        (GPTQ | {"rotation": "hadamard"}, "quantization_config.rotation is not understood"),
        (GPTQ | {"adapter": {"path": "x"}}, "quantization_config.adapter is not understood"),
        (GPTQ | {"checkpoint_format": "marlin"}, "checkpoint_format must be gptq or gptq_v2 or"),
        (GPTQ | {"format": "gptq", "checkpoint_format": "gptq_v2"}, "contradicts format"),
        (GPTQ | {"pack_dtype": "int16"}, "pack_dtype must be int32 or null"),
        (GPTQ | {"is_marlin_format": True}, "is_marlin_format must be False or null"),
        (GPTQ | {"group_size": 16.0}, "group_size must be a whole number of -1 or more"),
        (GPTQ | {"dynamic": [1]}, "dynamic must be an object"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(quantised_folder, config, what):
    path, _ = quantised_folder(packed() if "config_groups" in config else gptq(), config)
    with pytest.raises(CompressError, match=what.replace(".", r"\.").replace("(", r"\(")):
        open_source(str(path))


def test_what_says_nothing_is_no_matter(quantised_folder):
    config = PACKED | {
        "transform_config": {}, "sparsity_config": {"format": "dense"}, "kv_cache_scheme": None,
        "ignore": ["lm_head"], "quantization_status": "compressed", "version": "0.9.4",
        "global_compression_ratio": 1.5, "anything": [],
    }  # fmt: skip
    path, matrices = quantised_folder(packed(), config)
    source = open_source(str(path))
    assert source.quantised is not None
    assert all(map(source.quantised.holds, matrices))


def test_other_parts_of_a_quantised_layer_are_left_over(quantised_folder):
    def write(weight, rng):
        tensors, matrix = packed()(weight, rng)
        return tensors | {"weight_global_scale": torch.ones(1)}, matrix

    path, _ = quantised_folder(write, PACKED)
    with pytest.raises(CompressError, match=r"has 14 tensors .*weight_global_scale"):
        open_source(str(path))


def test_two_configurations_that_differ(quantised_folder):
    path, _ = quantised_folder(packed(), PACKED)
    raw = json.loads((path / "config.json").read_text())
    raw["compression_config"] = packed_config(num_bits=8)
    (path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(CompressError, match="quantization_config and compression_config contra"):
        open_source(str(path))


def test_an_activation_order_that_is_not_there(quantised_folder):
    def write(weight, rng):
        tensors, matrix = gptq()(weight, rng)
        del tensors["g_idx"]
        return tensors, matrix

    path, matrices = quantised_folder(write, GPTQ | {"desc_act": True})
    with pytest.raises(CompressError, match=r"has no g_idx, which desc_act .* wants"):
        open_source(str(path))
    raw = json.loads((path / "config.json").read_text())
    raw["quantization_config"]["desc_act"] = False
    (path / "config.json").write_text(json.dumps(raw))
    source = open_source(str(path))
    assert source.quantised is not None
    for name, matrix in matrices.items():
        assert np.array_equal(source.quantised.weight(name).matrix().T, matrix)
