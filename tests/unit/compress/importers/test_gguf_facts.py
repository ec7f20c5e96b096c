"""Keys of a GGUF file besides its weights: the model has their values, or is refused.

Files are written from a model of transformers; the model read from them must compute the same.
"""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from summand.compress import CompressError, open_source
from summand.compress.sources.sources import write_side_files

IDS = torch.arange(60)[None] * 7 % 256
HEADS, KV_HEADS, HEAD_DIM = 4, 2, 12

#: A few of llama.cpp's names.
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
TOP = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def make(**config) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=HEADS * HEAD_DIM,
            intermediate_size=80,
            num_hidden_layers=2,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            vocab_size=256,
            max_position_embeddings=64,
            initializer_range=0.2,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            **config,
        )
    ).eval()


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Return rows in llama.cpp's order: the halves of a head take turns."""
    n, k = weight.shape
    return weight.reshape(heads, 2, n // heads // 2, k).transpose(1, 2).reshape(n, k)


def write(
    path: Path,
    model: LlamaForCausalLM,
    tokenizer,
    add: Callable[[gguf.GGUFWriter], None] = lambda _: None,
    *,
    arch: str = "llama",
    theta: float | None = 10000.0,
) -> Path:
    """Write a model as llama.cpp's converter does, in float32; ``add`` adds to it."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(HEADS * HEAD_DIM)
    writer.add_feed_forward_length(80)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_vocab_size(256)
    if theta is not None:
        writer.add_rope_freq_base(theta)
    vocabulary = tokenizer.get_vocab()
    words = [*sorted(vocabulary, key=vocabulary.__getitem__)[:-1], "ab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([1] * len(words))
    writer.add_token_merges(["a b"])
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        if name in TOP:
            new = TOP[name]
        else:
            _, _, block, *middle, end = name.split(".")
            new = f"blk.{block}.{NAMES['.'.join(middle)]}.{end}"
        if arch == "llama" and (".attn_q." in new or ".attn_k." in new):
            tensor = interleaved(tensor, HEADS if ".attn_q." in new else KV_HEADS)
        writer.add_tensor(new, tensor.contiguous().numpy())
    add(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(module) -> torch.Tensor:
    with torch.no_grad():
        return module(IDS).logits


def assert_same(got: torch.Tensor, want: torch.Tensor) -> None:
    assert torch.allclose(got, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))


def factors_of(model: LlamaForCausalLM) -> np.ndarray:
    """Return the factors that divide a model's frequencies, as a converter stores them."""
    plain = 10000.0 ** -(np.arange(HEAD_DIM // 2) * 2 / HEAD_DIM)
    return (plain / model.model.rotary_emb.inv_freq.numpy()).astype(np.float32)


LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
}  # fmt: skip


def test_a_plain_file(tmp_path, tokenizer):
    model = make()
    assert_same(
        logits(open_source(str(write(tmp_path / "m.gguf", model, tokenizer))).module), logits(model)
    )


@pytest.mark.parametrize(
    ("rope", "add"),
    [
        (
            LLAMA3,
            lambda m: lambda w: w.add_tensor("rope_freqs.weight", factors_of(m)),
        ),
        (
            {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
            lambda _: lambda w: (
                w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR), w.add_rope_scaling_factor(4.0)
            ),
        ),
    ],
)  # fmt: skip
def test_a_rotary_embedding_that_is_scaled(tmp_path, tokenizer, rope, add):
    """As in every file of Llama 3.1; the Summand model's configuration keeps it too."""
    model = make(rope_parameters=rope)
    assert factors_of(model).max() > 3
    path = write(tmp_path / "m.gguf", model, tokenizer, add(model))
    source = open_source(str(path))
    assert_same(logits(source.module), logits(model))
    assert (logits(make()) - logits(model)).abs().max() > 0.1 * logits(model).abs().max()
    write_side_files(source, tmp_path / "side")
    again = LlamaForCausalLM(LlamaConfig.from_pretrained(tmp_path / "side")).eval()
    again.load_state_dict(source.module.state_dict())
    assert_same(logits(again), logits(model))


def kv(kind: str, key: str, value) -> Callable[[gguf.GGUFWriter], None]:
    return lambda writer: getattr(writer, f"add_{kind}")(key, value)


@pytest.mark.parametrize(
    ("add", "what"),
    [
        (kv("string", "llama.rope.scaling.type", "yarn"), r"llama\.rope\.scaling\.type is 'yarn'"),
        (kv("string", "llama.rope.scaling.type", "longrope"), r"llama\.rope\.scaling\.type is"),
        (
            kv("float32", "llama.rope.scaling.attn_factor", 1.2),
            r"\.rope\.scaling\.attn_factor is",
        ),
        (kv("float32", "llama.rope.scale_linear", 2.0), r"llama\.rope\.scale_linear is 2\.0"),
        (
            kv("uint32", "llama.attention.sliding_window", 32),
            "llama.attention.sliding_window is 32",
        ),
        (
            kv("float32", "llama.final_logit_softcapping", 30.0),
            r"\.final_logit_softcapping is",
        ),
        (kv("float32", "llama.attention.scale", 0.5), r"llama\.attention\.scale is 0\.5"),
        (kv("float32", "llama.logit_scale", 0.5), r"llama\.logit_scale is 0\.5"),
        (kv("uint32", "llama.expert_used_count", 2), r"llama\.expert_used_count is 2"),
        (kv("uint32", "llama.attention.key_length", 24), r"llama\.attention\.key_length is 24"),
        (kv("bool", "llama.attention.causal", False), r"llama\.attention\.causal is False"),
        (kv("string", "general.type", "adapter"), r"is no model, but of the type adapter"),
        (kv("uint16", "split.count", 3), r"is one of 3 files of a model \(split\.count\)"),
        (
            lambda w: w.add_tensor("rope_freqs.weight", np.full(6, 0.5, np.float32)),
            r"rope_freqs\.weight must be numbers of 1 or more",
        ),
        (
            lambda w: w.add_tensor("blk.0.attn_q.bias", np.ones(48, np.float32)),
            r"has 1 tensors that transformers' Llama.* does not use, .* blk\.0\.attn_q\.bias",
        ),
        (
            lambda w: w.add_tensor("blk.2.attn_norm.weight", np.ones(48, np.float32)),
            r"has 1 tensors that .* does not use, .* blk\.2\.attn_norm\.weight",
        ),
        (
            lambda w: w.add_tensor("rope_factors_long.weight", np.full(6, 2, np.float32)),
            r"has 1 tensors that .* does not use, .* rope_factors_long\.weight",
        ),
    ],
)
def test_what_the_model_does_not_have_is_refused_by_name(tmp_path, tokenizer, add, what):
    path = write(tmp_path / "m.gguf", make(), tokenizer, add)
    with pytest.raises(CompressError, match=what):
        open_source(str(path))


@pytest.mark.parametrize(
    "add",
    [
        kv("string", "llama.rope.scaling.type", "none"),
        kv("bool", "llama.rope.scaling.finetuned", True),
        kv("float32", "llama.rope.scaling.attn_factor", 1.0),
        kv("uint32", "llama.attention.sliding_window", 64),
        kv("uint32", "llama.attention.key_length", HEAD_DIM),
        kv("uint32", "llama.attention.value_length", HEAD_DIM),
        kv("bool", "llama.attention.causal", True),
        kv("string", "general.description", "anything"),
        kv("string", "somebody.note", "anything"),
        kv("uint16", "split.count", 1),
    ],
)
def test_what_the_model_has_is_no_matter(tmp_path, tokenizer, add):
    model = make()
    path = write(tmp_path / "m.gguf", model, tokenizer, add)
    assert_same(logits(open_source(str(path)).module), logits(model))


def test_a_base_that_transformers_does_not_read(tmp_path, tokenizer, monkeypatch):
    """A key that its loader skips is compared with the model's value."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_TO_TRANSFORMERS_MAPPING

    path = write(tmp_path / "m.gguf", make(), tokenizer, theta=500000.0)
    monkeypatch.delitem(GGUF_TO_TRANSFORMERS_MAPPING["config"]["llama"], "rope.freq_base")
    with pytest.raises(CompressError, match=r"llama\.rope\.freq_base is 500000\.0, and the Llama"):
        open_source(str(path))
