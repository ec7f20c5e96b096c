"""What is lost behind a prompt that is read with decompositions."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from summand.compress.network.predictions import divergence
from summand.model import Layer
from summand.model.causal import cache_name, last_only
from summand.model.decomposed import decomposed
from summand.model.decomposition import Decomposition

__all__ = ["behind", "decomposing", "lost_behind", "rest_of"]

#: Share of a row of text that is read behind its prompt: one in so many.
_REST = 4


def rest_of(ids: torch.Tensor) -> int:
    """Return how many tokens of a text ``[1, tokens]`` are read behind its prompt."""
    return ids.shape[1] // _REST


def lost_behind(
    module: nn.Module,
    made: Sequence[Decomposition],
    layer_of: Callable[[str], Layer],
    ids: torch.Tensor,
    plain: torch.Tensor,
) -> float:
    """Return what decompositions of a text's first three quarters lose in the last.

    The KL divergence, in nats a token, of the predictions there from ``plain``, which are those
    without decompositions.
    """
    found = behind(module, ids, rest_of(ids), decomposing(module, made, layer_of))
    return float(divergence(plain, found).mean())


@torch.no_grad()
def behind(
    module: nn.Module,
    ids: torch.Tensor,
    count: int,
    reading: contextlib.AbstractContextManager[None] | None = None,
) -> torch.Tensor:
    """Return the log-probabilities of a text's last tokens, the others being their prompt.

    Parameters
    ----------
    module : nn.Module
        A causal language model with a KV cache.
    ids : int64 tensor, shape ``[1, tokens]``
    count : int
        Last tokens.
    reading : context manager, optional
        What is done to the module while the prompt is read.

    Returns
    -------
    float32 tensor, shape ``[count, vocabulary]``
    """
    model, name = module, cache_name(module) or ""
    with reading or contextlib.nullcontext():
        prompt = model(input_ids=ids[:, :-count], use_cache=True, **last_only(module))
    cache = {name: getattr(prompt, name)}
    rest = model(input_ids=ids[:, -count:], use_cache=True, **cache)
    logits = torch.cat([prompt.logits[0, -1:], rest.logits[0, :-1]])
    return logits.float().log_softmax(dim=-1)


@contextlib.contextmanager
def decomposing(
    module: nn.Module,
    made: Sequence[Decomposition],
    layer_of: Callable[[str], Layer],
) -> Iterator[None]:
    """Add to layers' outputs what decompositions do to those of a prompt."""
    handles = []
    for of in made:
        errors = _Errors(of, [layer_of(name) for name in of.layers])
        for i, name in enumerate(of.layers):

            def hook(
                _: nn.Module,
                args: tuple[torch.Tensor],
                y: torch.Tensor,
                i: int = i,
                errors: _Errors = errors,
            ) -> torch.Tensor:
                return y + errors.of(args[0])[i].to(y.dtype)

            handles.append(module.get_submodule(name).register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Errors:
    """What a decomposition does to its layers' outputs, worked out once for an input."""

    def __init__(self, made: Decomposition, layers: Sequence[Layer]):
        self._made = made
        self._layers = [replace(layer, bias=None) for layer in layers]
        self._x: torch.Tensor | None = None
        self._found: list[torch.Tensor] = []

    def of(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the difference ``[1, M, N]`` of each layer's output for a prompt ``[1, M, K]``."""
        if x is not self._x:
            flat = x[0].float().numpy()
            xq, s_x = self._layers[0].quantise(flat)
            plain = [(xq * s_x) @ layer.matrix().astype(np.float32) for layer in self._layers]
            found = decomposed(self._layers, self._made, flat)
            self._x = x
            self._found = [torch.from_numpy(a - b)[None] for a, b in zip(found, plain, strict=True)]
        return self._found
