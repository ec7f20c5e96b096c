"""Whether the model that transformers made of a GGUF file agrees with what the file says."""

import math
import re
from typing import Any

import numpy as np
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.importers.gguf_facts import GgufFacts

__all__ = ["check_gguf"]

#: The names that the configurations of transformers have for a key; the first that is there counts.
_NAMES = {
    "attention.head_count": ("num_attention_heads", "num_heads"),
    "attention.head_count_kv": ("num_key_value_heads", "num_kv_heads", "num_attention_heads"),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon"),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "norm_eps", "layer_norm_epsilon"),
    "attention.relative_buckets_count": ("relative_attention_num_buckets",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "decoder_start_token_id": ("decoder_start_token_id",),
    "embedding_scale": ("embedding_multiplier",),
    "expert_used_count": ("num_experts_per_tok",),
    "expert_weights_norm": ("norm_topk_prob",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "full_attention_interval": ("full_attention_interval",),
    "logit_scale": ("logit_scale",),
    "residual_scale": ("residual_multiplier",),
    "use_parallel_residual": ("use_parallel_residual",),
}

#: Sizes, which the shapes and the number of the tensors confirm.
_SIZES = frozenset({
    "block_count", "context_length", "embedding_length", "expert_count",
    "expert_feed_forward_length", "expert_shared_feed_forward_length", "feed_forward_length",
    "shortconv.l_cache", "ssm.conv_kernel", "ssm.group_count", "ssm.inner_size", "ssm.state_size",
    "ssm.time_step_rank", "vocab_size",
})  # fmt: skip

#: Of the scaling of the rotary embedding: remarks, which the kinds that are applied do not use.
_REMARKS = frozenset({"rope.scaling.finetuned", "rope.scaling.original_context_length"})


def check_gguf(facts: GgufFacts, module: nn.Module) -> None:
    """Refuse a model that transformers made of a GGUF file and that does not agree with it.

    Raises
    ------
    CompressError
        Naming the key or tensor that the model does not have.
    """
    model: Any = module
    config = model.config.get_text_config()
    for key, value in facts.own.items():
        if key not in _SIZES and not _agrees(key, _scalar(value), config):
            facts.refuse(key, f"and the {type(module).__name__} of transformers has another")
    _check_frequencies(facts, module)
    _check_tensors(facts, module)


def _agrees(key: str, value: Any, config: Any) -> bool:
    head_dim = getattr(config, "head_dim", None)
    if head_dim is None and hasattr(config, "num_attention_heads"):
        head_dim = config.hidden_size // config.num_attention_heads
    rope = getattr(config, "rope_parameters", None) or vars(config)
    if key in _NAMES:
        name = next((name for name in _NAMES[key] if hasattr(config, name)), None)
        return name is not None and _same(value, getattr(config, name))
    if key in ("attention.key_length", "attention.value_length"):
        return _same(value, getattr(config, "d_kv", head_dim))
    if key == "attention.causal":
        return value is True
    if key == "attention.sliding_window":
        window = getattr(config, "sliding_window", None)
        # One that no sequence outgrows is none.
        return window == value or (not window and value >= config.max_position_embeddings)
    if key == "rope.dimension_count":
        part = rope.get("partial_rotary_factor", getattr(config, "partial_rotary_factor", 1.0))
        return head_dim is not None and value == int(head_dim * part)
    if key == "rope.freq_base":
        return _same(value, rope.get("rope_theta"))
    if key in ("rope.scaling.type", "rope.scaling.factor") or key in _REMARKS:
        return True  # see rope()
    return key == "rope.scaling.attn_factor" and value == 1


def _check_frequencies(facts: GgufFacts, module: nn.Module) -> None:
    """Refuse a model whose rotary embedding has not the file's factors."""
    if (rope := facts.rope()) is None:
        return
    found = [b for name, b in module.named_buffers() if name.endswith("rotary_emb.inv_freq")]
    base = facts.own.get("rope.freq_base", 10000.0)
    factors = np.array(rope.get("short_factor", rope["factor"]))
    for inverse in found:
        powers = np.arange(len(inverse)) / len(inverse)
        fits = factors.shape in ((), inverse.shape)
        if fits and np.allclose(inverse.numpy() * factors * base**powers, 1, rtol=1e-4):
            return
    raise CompressError(
        f"{facts.path} scales its rotary embedding (rope_freqs.weight or rope.scaling), which "
        f"transformers' {type(module).__name__} did not take; give the model as a Hugging Face "
        f"folder"
    )


def _check_tensors(facts: GgufFacts, module: nn.Module) -> None:
    """Refuse a file with tensors that are none of the model's."""
    import gguf

    kind = next((k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == facts.arch), None)
    if kind is None:
        raise CompressError(f"{facts.path}: architecture {facts.arch} is none that gguf knows")
    names: Any = gguf.get_tensor_name_map(kind, int(facts.own["block_count"]))
    used: set[str] = set()
    for name in module.state_dict():
        # Experts are put together, and names may lack what they begin with.
        for spelt in (name, name.partition(".")[2]):
            for part in ("gate_up", "gate", "up"):
                stem = re.sub(r"experts\.gate_up_proj$", f"experts.{part}_proj", spelt)
                stem = re.sub(r"\.experts\.\d+\.", ".experts.", stem)
                found = names.get_name(stem, (".weight", ".bias"))
                used |= {str(found), f"{found}.weight"}
    if left := sorted(facts.tensors - used):
        raise CompressError(
            f"{facts.path} has {len(left)} tensors that transformers' {type(module).__name__} "
            f"does not use, the first of them {left[0]}; give the model as a Hugging Face "
            f"folder"
        )


def _scalar(value: Any) -> Any:
    """Return the number that an array repeats for every block."""
    if isinstance(value, list) and value and all(v == value[0] for v in value):
        return value[0]
    return value


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, float) and isinstance(other, int | float):
        return math.isclose(value, other, rel_tol=1e-6)  # one of both is float32
    return value == other
