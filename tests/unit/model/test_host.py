"""The host's share of a model, with tiny modules and a tiny Llama."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from summand.model import ModelError, ModelWriter, SummandModel
from summand.model.host import attach_host, load_host, load_tokenizer, write_host


class Tied(nn.Module):
    """An embedding, a layer, two heads that share its weights, and a buffer."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(6, 7)
        self.linear = nn.Linear(7, 5)
        self.head = nn.Linear(7, 6, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("steps", torch.tensor([3], dtype=torch.int64))


def write(path, module, layer, names=("linear",), *, config=None):
    object.__setattr__(layer, "name", names[0])
    with ModelWriter(path) as writer:
        writer.add(layer)
        if config:
            config.save_pretrained(writer.folder)
        aliases = write_host(module, names, writer.folder)
        writer.finish(groups=[names], source={"kind": "test"}, options={}, aliases=aliases)
    return SummandModel(path)


def test_shared_tensors_are_kept_once_and_shared_again(tmp_path, make_layer):
    torch.manual_seed(0)
    original = Tied()
    model = write(tmp_path / "m", original, make_layer(1))
    assert set(load_file(model.host_file)) == {"embed.weight", "steps"}
    torch.manual_seed(1)
    other = Tied()
    mine = other.linear.weight.clone()
    attach_host(other, model)
    assert torch.equal(other.embed.weight, original.embed.weight)
    assert other.head.weight is other.embed.weight
    assert other.get_buffer("steps").tolist() == [3]
    assert torch.equal(other.linear.weight, mine)


def test_a_compressed_head_leaves_its_embedding(tmp_path, make_layer):
    original = Tied()
    model = write(tmp_path / "m", original, make_layer(1, k=7, n=6), ("head",))
    assert set(load_file(model.host_file)) == {
        "embed.weight",
        "linear.weight",
        "linear.bias",
        "steps",
    }
    assert model.manifest.aliases == {}


def test_a_missing_tensor_is_named(tmp_path, make_layer):
    model = write(tmp_path / "m", Tied(), make_layer(1))
    save_file({"steps": torch.tensor([1])}, model.host_file)
    object.__setattr__(model.manifest, "aliases", {})
    with pytest.raises(ModelError, match=r"host\.safetensors lacks embed\.weight"):
        attach_host(Tied(), model)


def test_a_tensor_of_another_shape_is_named(tmp_path, make_layer):
    model = write(tmp_path / "m", Tied(), make_layer(1))
    other = Tied()
    other.embed = nn.Embedding(6, 8)
    with pytest.raises(ModelError, match=r"host\.safetensors.*embed\.weight"):
        attach_host(other, model)


def test_damaged_tensors_are_told(tmp_path, make_layer):
    model = write(tmp_path / "m", Tied(), make_layer(1))
    model.host_file.write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match=r"host\.safetensors: .*compress the model again"):
        attach_host(Tied(), model)


def test_a_bare_module_says_how_to_go_on(tmp_path, make_layer):
    model = write(tmp_path / "m", Tied(), make_layer(1))
    with pytest.raises(ModelError, match=r"attach_host\(\)"):
        load_host(model)
    with pytest.raises(ModelError, match="has no tokenizer"):
        load_tokenizer(model)


def llama() -> LlamaForCausalLM:
    config = LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=64,
        tie_word_embeddings=True,
        architectures=["LlamaForCausalLM"],
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("name", ["lm_head", "model.layers.0.mlp.up_proj"])
def test_a_llama_comes_back(tmp_path, make_layer, name):
    original = llama()
    linear = original.get_submodule(name)
    assert isinstance(linear, nn.Linear)
    layer = make_layer(1, k=linear.in_features, n=linear.out_features, bias=False)
    model = write(tmp_path / "m", original, layer, (name,), config=original.config)
    loaded = load_host(model)
    assert not loaded.training
    empty = [n for n, p in loaded.named_parameters() if p.is_meta]
    assert empty == [f"{name}.weight"]
    # With the layer's own weights back in place it is the same model.
    loaded.get_submodule(name).weight = linear.weight
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, original(ids).logits)


def test_an_unknown_architecture_is_named(tmp_path, make_layer):
    original = llama()
    original.config.architectures = ["OfTomorrow"]
    layer = make_layer(1, k=16, n=64, bias=False)
    model = write(tmp_path / "m", original, layer, ("lm_head",), config=original.config)
    with pytest.raises(ModelError, match=r"config\.json: architectures names OfTomorrow"):
        load_host(model)


def test_a_damaged_configuration_is_told(tmp_path, make_layer):
    original = llama()
    layer = make_layer(1, k=16, n=64, bias=False)
    model = write(tmp_path / "m", original, layer, ("lm_head",), config=original.config)
    (model.path / "config.json").write_text("{]")
    with pytest.raises(ModelError, match=r"config\.json: .*compress the model again"):
        load_host(model)
