"""Reads tokens with a model: a prompt in one call, then trees of tokens in step."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from summand.decoding.branches import Branch, why_no_branches
from summand.draft import Draft
from summand.isa import SummandError
from summand.model.causal import cache_name, last_only
from summand.runtime.lanes import Ended, Lanes

__all__ = ["Reader"]


class Reader:
    """A model that reads a text, and then another.

    Each token after the prompt is read by a call of its own, whose floating point operations are
    those of plain decoding, over a cache of the same contents: :class:`Lanes` lets the calls of a
    tree share the engine's passes over the weights, and nothing else.

    Parameters
    ----------
    model : nn.Module
        A Hugging Face causal language model.
    lanes : Lanes
        Where the model's layers meet.

    Raises
    ------
    SummandError
        If the model keeps no cache.
    """

    def __init__(self, model: nn.Module, lanes: Lanes):
        self._model = model
        self._lanes = lanes
        if (name := cache_name(model)) is None:
            raise self._forgetful()
        self._name = name
        self._spare = last_only(model)
        self._cache: Any = None
        self._branches: tuple[Branch, ...] = ()
        #: Why the model reads one token at a time; None if it can read trees.
        self.why_plain: str | None = None

    def prompt(self, tokens: Sequence[int]) -> torch.Tensor:
        """Read the beginning of a new text; returns the logits after it, ``[vocabulary]``."""
        self._cache = None
        logits = self._read(tokens)
        self.why_plain = why_no_branches(self._cache)
        return logits

    def tree(self, last: int, draft: Draft) -> list[Ended[torch.Tensor]]:
        """Read the text's last token and all that may follow it.

        Returns
        -------
        list of Ended
            The logits, ``[vocabulary]`` in float32, after ``last`` and after each node of
            ``draft``; or what the model raises for the token.
        """
        with _one_thread():
            return self._tree(last, draft)

    def _tree(self, last: int, draft: Draft) -> list[Ended[torch.Tensor]]:
        if self.why_plain is not None:
            assert not draft, "this model reads one token at a time"
            return [Ended(self._read([last]))]
        branches = [Branch(self._cache, None)]
        for parent in draft.parents:
            branches.append(Branch(self._cache, branches[parent + 1]))
        self._branches = tuple(branches)
        return self._lanes.run(
            [
                self._call(token, branch)
                for token, branch in zip((last, *draft.tokens), branches, strict=True)
            ]
        )

    def keep(self, nodes: Sequence[int]) -> None:
        """Add the last token and a path of ``nodes`` of the last tree to the text's cache."""
        if self.why_plain is None:
            for place in (0, *(node + 1 for node in nodes)):
                self._branches[place].add_to(self._cache)
        self._branches = ()

    def _call(self, token: int, branch: Branch) -> Callable[[], torch.Tensor]:
        return lambda: self._logits(self._forward([token], branch))

    def _read(self, tokens: Sequence[int]) -> torch.Tensor:
        """Read tokens onto the text's cache."""
        out = self._forward(tokens, self._cache)
        self._cache = getattr(out, self._name, None)
        if self._cache is None:
            raise self._forgetful()
        return self._logits(out)

    def _forward(self, tokens: Sequence[int], cache: Any) -> Any:
        ids = torch.tensor([list(tokens)])
        return self._model(input_ids=ids, use_cache=True, **{self._name: cache}, **self._spare)

    @staticmethod
    def _logits(out: Any) -> torch.Tensor:
        return out.logits[0, -1].float()

    def _forgetful(self) -> SummandError:
        return SummandError(f"a {type(self._model).__name__} has no KV cache and cannot be run")


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch work on one thread: for one token's few numbers, threads cost more than they do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
