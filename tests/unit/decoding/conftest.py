"""Random language models of several architectures, and drafts of the text that they will write."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from summand.draft import Draft, Seen
from summand.model.architectures import as_linears
from summand.runtime.lanes import Lanes

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 61,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
    "initializer_range": 0.3,
    "tie_word_embeddings": False,
}
_GROUPED: dict[str, Any] = {"intermediate_size": 48, "num_key_value_heads": 2}

#: The class of each model, and its configuration's; windows are shorter than the texts.
_MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", _GROUPED),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", {}),
    "gpt-neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", {"intermediate_size": 48}),
    "mistral": ("MistralForCausalLM", "MistralConfig", {**_GROUPED, "sliding_window": 5}),
    "gemma2": (
        "Gemma2ForCausalLM",
        "Gemma2Config",
        {**_GROUPED, "head_dim": 8, "sliding_window": 5},
    ),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", {**_GROUPED, "head_dim": 8}),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", _GROUPED),
    # Its convolutions keep a state that each token replaces.
    "lfm2": (
        "Lfm2ForCausalLM",
        "Lfm2Config",
        {**_GROUPED, "block_auto_adjust_ff_dim": False, "full_attn_idxs": [1]},
    ),
}


class _Meeting(torch.nn.Module):
    """A linear layer that computes rows of several calls together, each row by itself."""

    weight = None

    def __init__(self, linear: torch.nn.Linear, lanes: Lanes):
        super().__init__()
        self._linear = linear
        self._lanes = lanes
        #: Rows of each time that it was computed.
        self.rows: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (y,) = self._lanes.compute(self._compute, x.reshape(-1, x.shape[-1]).numpy())
        return torch.from_numpy(y).clone().reshape(*x.shape[:-1], -1)

    def _compute(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        self.rows.append(len(rows))
        with torch.no_grad():
            return (np.stack([self._linear(torch.from_numpy(row)).numpy() for row in rows]),)


class Random(NamedTuple):
    """A random model, and where its linear layers meet."""

    model: torch.nn.Module
    lanes: Lanes

    @property
    def rows(self) -> list[int]:
        """Rows of each time that a linear layer was computed."""
        return [n for m in self.model.modules() if isinstance(m, _Meeting) for n in m.rows]


@pytest.fixture(scope="session")
def make_model() -> Callable[[str], Random]:
    """Return a function that makes the random model of a name."""
    import transformers

    made: dict[str, Random] = {}

    def make(name: str) -> Random:
        if name not in made:
            kind, config, more = _MODELS[name]
            torch.manual_seed(7)
            model = getattr(transformers, kind)(getattr(transformers, config)(**_SIZES, **more))
            lanes = Lanes()
            as_linears(model.eval())
            linears = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
            for path in linears:
                parent, _, leaf = path.rpartition(".")
                linear = model.get_submodule(path)
                setattr(model.get_submodule(parent), leaf, _Meeting(linear, lanes))
            made[name] = Random(model, lanes)
        return made[name]

    return make


class Guessing:
    """A drafter that knows a text, and proposes it now and then among other tokens.

    Parameters
    ----------
    text : sequence of int
        What will be written.
    seed : int
        Of the trees' shapes.
    right : float
        Probability that a node whose parents are all right is right as well.
    """

    def __init__(self, text: Sequence[int], seed: int, right: float = 0.7):
        self._text = tuple(text)
        self._random = random.Random(seed)
        self._right = right
        self._at = 0
        #: Every row that was read.
        self.seen: list[Seen] = []

    def begin(self, prompt: Sequence[int]) -> None:
        """Begin after the text's first token."""
        self._at = 1

    def propose(self, most: int) -> Draft:
        """Return a tree with a random number of nodes."""
        tokens: list[int] = []
        parents: list[int] = []
        right = {-1: 0}  # nodes whose path is the text, and how long it is
        for node in range(self._random.randint(0, most)):
            parent = self._random.choice([-1, *range(node)])
            token = self._random.randrange(61)
            length = right.get(parent)
            coming = self._text[self._at :]
            if length is not None and length < len(coming) and self._random.random() < self._right:
                token = coming[length]
            if (token, parent) in zip(tokens, parents, strict=True):
                break
            if length is not None and coming[length : length + 1] == (token,):
                right[node] = length + 1
            tokens.append(token)
            parents.append(parent)
        return Draft(tuple(tokens), tuple(parents))

    def learn(self, written: Sequence[int], seen: Sequence[Seen]) -> None:
        """Go on behind what was written."""
        assert tuple(written) == self._text[self._at :][: len(written)]
        self._at += len(written)
        self.seen += seen


@pytest.fixture
def guessing() -> type[Guessing]:
    return Guessing


@pytest.fixture(autouse=True)
def _no_threads() -> Iterator[None]:
    """Leave torch's threads as they were."""
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before
