"""Write a Llama-shaped checkpoint of any size with random weights, one block in memory at a time.

    python tools/synthetic_llama.py build/synthetic

The default is the shape of TinyLlama: 1.1 billion parameters in bfloat16, 2.2 GB, a shard a block.
Weights are a sum of rank-1 terms that fade as a power of their number, and noise, so that their
spectra decay as trained ones do; norms vary, so that features differ in size. The tokenizer
takes a byte as a token. The model's text is meaningless: it serves to measure memory and time.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast


def matrix(n: int, k: int, generator: torch.Generator) -> torch.Tensor:
    """Return a random bfloat16 ``[N, K]`` matrix whose singular values decay."""
    rank = max(1, min(n, k) // 16)
    sizes = torch.arange(1, rank + 1).pow(-0.7)
    left = torch.randn(n, rank, generator=generator) * sizes
    w = left @ torch.randn(rank, k, generator=generator)
    w /= w.square().mean().sqrt()
    w += torch.randn(n, k, generator=generator) * 0.7
    return (w * (0.7 / k**0.5)).to(torch.bfloat16)


def norm(k: int, generator: torch.Generator) -> torch.Tensor:
    """Return the gains of a norm, some of them large."""
    return (torch.randn(k, generator=generator) * 0.5).exp().to(torch.bfloat16)


def shards(config: LlamaConfig, seed: int) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the tensors of each shard."""
    g = torch.Generator().manual_seed(seed)
    h, inner = config.hidden_size, config.intermediate_size
    kv = h // config.num_attention_heads * config.num_key_value_heads
    table = torch.randn(config.vocab_size, h, generator=g).to(torch.bfloat16)
    yield {"model.embed_tokens.weight": table}
    del table
    for i in range(config.num_hidden_layers):
        block = f"model.layers.{i}"
        yield {
            f"{block}.input_layernorm.weight": norm(h, g),
            f"{block}.self_attn.q_proj.weight": matrix(h, h, g),
            f"{block}.self_attn.k_proj.weight": matrix(kv, h, g),
            f"{block}.self_attn.v_proj.weight": matrix(kv, h, g),
            f"{block}.self_attn.o_proj.weight": matrix(h, h, g),
            f"{block}.post_attention_layernorm.weight": norm(h, g),
            f"{block}.mlp.gate_proj.weight": matrix(inner, h, g),
            f"{block}.mlp.up_proj.weight": matrix(inner, h, g),
            f"{block}.mlp.down_proj.weight": matrix(h, inner, g),
        }
    yield {"model.norm.weight": norm(h, g), "lm_head.weight": matrix(config.vocab_size, h, g)}


def tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer that takes a byte as a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bare)


def write(folder: Path, config: LlamaConfig, seed: int) -> int:
    """Write the checkpoint; returns its number of parameters."""
    folder.mkdir(parents=True)
    count, total, placed = config.num_hidden_layers + 2, 0, {}
    for i, tensors in enumerate(shards(config, seed)):
        name = f"model-{i + 1:05d}-of-{count:05d}.safetensors"
        save_file(tensors, folder / name, metadata={"format": "pt"})
        placed |= dict.fromkeys(tensors, name)
        total += sum(t.numel() for t in tensors.values())
    index = {"metadata": {"total_size": 2 * total}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    config.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return total


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--inner", type=int, default=5632)
    parser.add_argument("--blocks", type=int, default=22)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=32000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    config = LlamaConfig(
        architectures=["LlamaForCausalLM"],
        hidden_size=args.hidden,
        intermediate_size=args.inner,
        num_hidden_layers=args.blocks,
        num_attention_heads=args.heads,
        num_key_value_heads=args.kv_heads,
        vocab_size=args.vocabulary,
        tie_word_embeddings=False,
        dtype="bfloat16",
        bos_token_id=None,
        eos_token_id=None,
    )
    total = write(args.folder, config, args.seed)
    print(f"{args.folder}: {total / 1e9:.3f} billion parameters")  # noqa: T201


if __name__ == "__main__":
    main()
