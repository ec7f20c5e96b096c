"""Estimates the loss of a chosen summand before it is found."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Estimate", "Estimator", "Trial"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """Layers of one input, on which choices are tried out together.

    Parameters
    ----------
    weights : tuple of float32 tensors, shape ``[N, K]`` each
        Of each of the ``L`` layers, all of it.
    rows : float32 tensor, shape ``[n, K]``
        Outputs of all layers that stand for all.
    costs : float32 tensor, shape ``[n, L]``
        Nats a token for each unit of mean square error of these outputs, in their layer's column.
    energy : float32 tensor, shape ``[K]``
        Mean square of each input feature.
    moments : float32 tensor, shape ``[K, K]``
        Mean of ``x^T x``.
    """

    weights: tuple[torch.Tensor, ...]
    rows: torch.Tensor
    costs: torch.Tensor
    energy: torch.Tensor
    moments: torch.Tensor


@dataclass(frozen=True, eq=False)
class Estimate:
    """The loss that chosen summands leave.

    Parameters
    ----------
    loss : float64 tensor, shape ``[L]``
        Of each layer, at the end of the model, in nats a token.
    lost : callable
        Returns for each layer a weight ``[N, K]`` like what they leave of it, in directions more
        than in size.
    """

    loss: torch.Tensor
    lost: Callable[[], tuple[torch.Tensor, ...]]


class Estimator(ABC):
    """Estimates choices of one kind on a trial's layers; tries out once what several share."""

    @abstractmethod
    def add(self, choice: Any, before: Estimate | None) -> Estimate:
        """Return the estimate with a summand as chosen behind those before it."""
