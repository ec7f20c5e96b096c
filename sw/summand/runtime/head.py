"""A model's head, while nothing but the likeliest token is asked for."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from summand.runtime.modules import LayerGroup

__all__ = ["GreedyHead"]


class GreedyHead:
    """Lets a model's logits be minus infinity but for those that may be the greatest.

    Only if the head's outputs are the logits, which a model may change: then others could be as
    great as the greatest, and the first of them is the token that is meant.

    Parameters
    ----------
    module : nn.Module
        What makes the logits.
    group : LayerGroup
        What computes it, on an engine with bins.
    """

    def __init__(self, module: nn.Module, group: LayerGroup):
        self._group = group
        self._last: torch.Tensor | None = None
        module.register_forward_hook(self._see)

    @classmethod
    def of(
        cls, model: nn.Module, name: str | None, groups: Sequence[LayerGroup]
    ) -> "GreedyHead | None":
        """Return a model's head by its path, if one of the groups that compute it is ranked."""
        ranked = [group for group in groups if group.ranks]
        if name is None or len(ranked) != 1:
            return None
        return cls(model.get_submodule(name), ranked[0])

    def _see(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._last = output

    @contextlib.contextmanager
    def likeliest_only(self, logits: torch.Tensor) -> Iterator[None]:
        """Let no more of the head be fetched than shows the likeliest token.

        Parameters
        ----------
        logits : float32 tensor, shape ``[vocabulary]``
            The model's last ones, of which all are there. If they are not the head's outputs, bit
            for bit, all will be there from now on too.
        """
        last, self._last = self._last, None
        same = (
            last is not None
            and last.dtype == torch.float32
            and torch.equal(last.reshape(-1, last.shape[-1])[-1], logits)
        )
        self._group.likeliest = same
        try:
            yield
        finally:
            self._group.likeliest = False
