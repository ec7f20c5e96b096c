"""Estimates the loss of a chosen summand before it is found."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Estimate", "Estimator", "Trial"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """A layer that choices are tried out on.

    Parameters
    ----------
    weight : float32 tensor, shape ``[N, K]``
        All of it.
    rows : float32 tensor, shape ``[n, K]``
        Outputs that stand for all.
    costs : float32 tensor, shape ``[n]``
        Nats a token for each unit of mean square error of these outputs.
    energy : float32 tensor, shape ``[K]``
        Mean square of each input feature.
    moments : float32 tensor, shape ``[K, K]``
        Mean of ``x^T x``.
    """

    weight: torch.Tensor
    rows: torch.Tensor
    costs: torch.Tensor
    energy: torch.Tensor
    moments: torch.Tensor


@dataclass(frozen=True, eq=False)
class Estimate:
    """The loss that chosen summands leave.

    Parameters
    ----------
    loss : float
        At the end of the model, in nats a token.
    lost : callable
        Returns a weight ``[N, K]`` like what they leave of the layer's, in directions more than in
        size.
    """

    loss: float
    lost: Callable[[], torch.Tensor]


class Estimator(ABC):
    """Estimates choices of one kind on one layer; tries out once what several choices share."""

    @abstractmethod
    def add(self, choice: Any, before: Estimate | None) -> Estimate:
        """Return the estimate with a summand as chosen behind those before it."""
