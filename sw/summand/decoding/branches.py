"""KV caches of several continuations of one text, which can be kept or forgotten."""

import copy
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from summand.isa import SummandError

__all__ = ["Branch", "why_no_branches"]

#: Layers of a cache that grow by making new tensors, so that a copy of the object is a fork.
_FORKING = (DynamicLayer, DynamicSlidingWindowLayer)


def why_no_branches(cache: Any) -> str | None:
    """Return why a model's cache cannot be followed by several continuations; None if it can."""
    if not isinstance(cache, Cache):
        return f"the model's cache of type {type(cache).__name__} cannot be rolled back"
    layers: list[Any] = cache.layers
    if strange := [type(layer).__name__ for layer in layers if type(layer) not in _FORKING]:
        return f"the model's cache has a {strange[0]}, which cannot be rolled back"
    if not all(layer.is_initialized for layer in layers):
        return "layers of the model share a cache, which cannot be rolled back for each"
    return None


class _Grown(NamedTuple):
    """What a token has added to a layer of the cache: the arguments of ``update``."""

    keys: torch.Tensor
    values: torch.Tensor
    more: tuple[Any, ...]
    named: dict[str, Any]


class Branch(Cache):
    """The cache that the call of a token reads and writes: the text's, its parents' and its own.

    A layer is forked from the parent's when the call comes to it, so the parent's call must have
    passed it. Up to then it knows its length alone. What a layer holds in whole is dropped when the
    call has come to the next, by when this token's followers have forked it; only what the token
    has added is kept. So the branches of a pass take the memory of one layer each, not of a cache.

    Parameters
    ----------
    cache : Cache
        Of the text, for which :func:`why_no_branches` has no objection.
    parent : Branch or None
        Of the token before this one; None if that is the text's last.
    """

    def __init__(self, cache: Any, parent: "Branch | None"):
        self._parent = parent
        self._cache = cache
        self._depth = 1 if parent is None else parent._depth + 1
        self._grown: dict[int, _Grown] = {}
        self._here: int | None = None
        super().__init__(layers=[_ahead(layer, self._depth - 1) for layer in cache.layers])

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Fork a layer from that of the parent, and add the token's keys and values."""
        behind = self._cache if self._parent is None else self._parent
        if isinstance(behind, Branch) and behind._here != layer_idx:
            raise SummandError(
                "the model does not come to the layers of its cache in the same order for every "
                "token; give --speculate off"
            )
        if self._here is not None:
            self.layers[self._here] = _ahead(self._cache.layers[self._here], self._depth)
        self.layers[layer_idx] = copy.copy(behind.layers[layer_idx])
        self._grown[layer_idx] = _Grown(key_states, value_states, args, kwargs)
        self._here = layer_idx
        return super().update(key_states, value_states, layer_idx, *args, **kwargs)

    def add_to(self, cache: Cache) -> None:
        """Add what the token has added to ``cache``, that of the text up to the token before."""
        for index, grown in self._grown.items():
            cache.update(grown.keys, grown.values, index, *grown.more, **grown.named)


def _ahead(layer: Any, tokens: int) -> Any:
    """Return a layer that knows its length, ``tokens`` more than that of ``layer``, and no more.

    Its tensors are on torch's meta device, so whoever reads them gets an error, not a number.
    """
    ahead = copy.copy(layer)
    if isinstance(ahead, DynamicSlidingWindowLayer):
        ahead.cumulative_length += tokens
    ahead.keys = _longer(layer.keys, tokens)
    ahead.values = _longer(layer.values, tokens)
    return ahead


def _longer(states: torch.Tensor, tokens: int) -> torch.Tensor:
    *outer, length, size = states.shape
    return torch.empty((*outer, length + tokens, size), dtype=states.dtype, device="meta")
