"""What the tests of several folders share: small language models, and wrong gateware."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bare)


@pytest.fixture(scope="session")
def make_llama() -> Callable[..., LlamaForCausalLM]:
    """Return a function that makes a random Llama, its head the embedding if ``tied``."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(
        *, blocks: int, hidden: int = 32, inner: int = 48, tied: bool = True, seed: int = 0
    ) -> LlamaForCausalLM:
        torch.manual_seed(seed)
        config = LlamaConfig(
            hidden_size=hidden,
            intermediate_size=inner,
            num_hidden_layers=blocks,
            num_attention_heads=4,
            num_key_value_heads=2,
            vocab_size=256,
            max_position_embeddings=64,
            tie_word_embeddings=tied,
            bos_token_id=None,
            eos_token_id=None,
            initializer_range=0.2,
        )
        return LlamaForCausalLM(config)

    return make


@pytest.fixture(scope="session")
def save_llama(
    tokenizer: PreTrainedTokenizerFast,
    make_llama: Callable[..., LlamaForCausalLM],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Path]:
    """Return a function that writes such a Llama; returns its Hugging Face folder.

    Weights are in files of ``shard`` at most; what else is given is for ``make_llama``.
    """

    def save(*, shard: str = "1GB", **llama: int) -> Path:
        path = tmp_path_factory.mktemp("hf") / "llama"
        make_llama(**llama).save_pretrained(path, max_shard_size=shard)
        tokenizer.save_pretrained(path)
        return path

    return save


@pytest.fixture(scope="session")
def mutant() -> Callable[..., Any]:
    """Return a function that makes a mistake in gateware, to see whether a test's inputs find it.

    It returns ``module``'s class ``name``, made from the module's text with ``wrong`` in the place
    of ``right``, and fails if ``right`` is not there just once, because the mistake is to be made
    in that place and no other.
    """

    def make(module: ModuleType, name: str, right: str, wrong: str) -> Any:
        text = inspect.getsource(module)
        assert text.count(right) == 1, f"{module.__name__} has {text.count(right)} times {right!r}"
        changed = ModuleType(module.__name__)
        code = compile(text.replace(right, wrong), f"{module.__file__} with {wrong!r}", "exec")
        exec(code, vars(changed))
        return getattr(changed, name)

    return make
