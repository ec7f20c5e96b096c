from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from summand.model import Dense, Layer, LowRank, ModelWriter
from summand.model.host import write_host


def _tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bare)


def _compress(name: str, weight: np.ndarray, rng: np.random.Generator) -> Layer:
    """Round to four bits, and add a random low-rank summand of rank 6."""
    k, n = weight.shape
    unit = np.abs(weight).max(axis=0) / 7
    dense = np.rint(weight / unit).astype(np.int8)
    low_rank = LowRank(
        a=rng.integers(-8, 8, (k, 6)).astype(np.int8),
        a_bits=4,
        b=rng.integers(-8, 8, (6, n)).astype(np.int8),
        b_bits=4,
        mult=np.full(6, 40000, np.uint16),
        shift=np.full(6, 21, np.uint8),
    )
    scale = (unit / 16).astype(np.float32)
    return Layer(name, k, n, 8, Dense(dense, 4), low_rank, 4, scale)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Summand model of a random Llama with two blocks, for the default engine."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=256,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        initializer_range=0.2,
    )
    model = LlamaForCausalLM(config).eval()
    blocks = [f"model.layers.{i}" for i in range(2)]
    groups = [["lm_head"]]
    for block in blocks:
        groups += [
            [f"{block}.self_attn.{p}_proj" for p in "qkv"],
            [f"{block}.self_attn.o_proj"],
            [f"{block}.mlp.gate_proj", f"{block}.mlp.up_proj"],
            [f"{block}.mlp.down_proj"],
        ]
    path = tmp_path_factory.mktemp("models") / "tiny"
    rng = np.random.default_rng(0)
    with ModelWriter(path) as writer:
        names = [name for group in groups for name in group]
        for name in names:
            linear = model.get_submodule(name)
            assert isinstance(linear, torch.nn.Linear)
            writer.add(_compress(name, linear.weight.detach().numpy().T, rng))
        config.architectures = ["LlamaForCausalLM"]
        config.save_pretrained(writer.folder)
        _tokenizer().save_pretrained(writer.folder)
        aliases = write_host(model, names, writer.folder)
        writer.finish(groups=groups, source={"kind": "test"}, options={}, aliases=aliases)
    return path


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder with a random Llama of one block and a tied head."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=256,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        initializer_range=0.2,
    )
    path = tmp_path_factory.mktemp("hf") / "llama"
    LlamaForCausalLM(config).save_pretrained(path)
    _tokenizer().save_pretrained(path)
    return path
