"""The interface between compression and the kinds that find summands."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from summand.summands.base import Summand

__all__ = ["Inputs", "Method", "Others", "Part", "Sum", "Task", "output_errors"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Inputs:
    """Statistics of a layer's input on the calibration text.

    Parameters
    ----------
    energy : float32 tensor, shape ``[K]``
        Mean square of each input feature; positive.
    moments : float32 tensor, shape ``[K, K]``, optional
        Mean of ``x^T x``; there where a method needs it.
    xq : float32 tensor, shape ``[S, K]``
        Sampled tokens as the engine sees them: whole numbers, times ``lift``.
    s_x : float32 tensor, shape ``[S, 1]``
        Their scales.
    act_bits : int
        Of activations.
    lift : int64 tensor, shape ``[K]``, optional
        What borders between groups of channels multiply each feature's products by.
    """

    energy: torch.Tensor
    moments: torch.Tensor | None
    xq: torch.Tensor
    s_x: torch.Tensor
    act_bits: int
    lift: torch.Tensor | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Find a summand for a weight.

    Parameters
    ----------
    weight : float32 tensor, shape ``[N, K]``
        What is left by the summands before it; finite.
    inputs : Inputs
        What the weight is multiplied by.
    room : int
        Most that the magnitudes of integers, times ``lift``, may add up to, so that an accumulator
        does not overflow that holds nothing else.
    limit : int
        The same for what the summand adds to one output, which other summands add to too.
    unit : float32 tensor, shape ``[N]``, optional
        Of the accumulator; without it the summand is the first and chooses it.
    """

    weight: torch.Tensor
    inputs: Inputs
    room: int
    limit: int
    unit: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """A summand that was found.

    Parameters
    ----------
    summand : Summand
        Its integers.
    unit : float32 tensor, shape ``[N]``
        Of the accumulator once it has been added.
    matrix : callable
        Returns the float32 ``[N, K]`` matrix that it stands for.
    """

    summand: Summand
    unit: torch.Tensor
    matrix: Callable[[], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Sum:
    """The summands of a layer that were found, at least one."""

    parts: tuple[Part, ...]

    @property
    def summands(self) -> tuple[Summand, ...]:
        """Their integers."""
        return tuple(part.summand for part in self.parts)

    @property
    def unit(self) -> torch.Tensor:
        """Of the accumulator, float32 ``[N]``."""
        return self.parts[-1].unit

    def matrix(self) -> torch.Tensor:
        """Return the float32 ``[N, K]`` matrix that they stand for together."""
        first, *rest = self.parts
        total = first.matrix()
        for part in rest:
            total = total + part.matrix()
        return total

    def plus(self, part: Part) -> "Sum":
        """Return the sum with another part behind it."""
        return Sum((*self.parts, part))


#: Finds the summands that come before one, for a weight ``[N, K]``.
Others = Callable[[torch.Tensor], Sum]


class Method(ABC):
    """Finds the summand that was chosen for a layer."""

    @property
    @abstractmethod
    def needs_moments(self) -> bool:
        """Whether it uses the inputs' moments."""

    @abstractmethod
    def solve(self, task: Task) -> Part:
        """Return the summand.

        Raises
        ------
        SolveError
            If no integers keep within the limits.
        """

    def complete(self, task: Task, others: Others | None) -> Sum:
        """Return the summand behind those that come before it, if there are any.

        The others are found first, and the summand is found for what they leave; a kind that knows
        a better order has its own.

        Parameters
        ----------
        task : Task
            Of the weight that all of them stand for together.
        others : callable, optional
            Finds those before it.
        """
        if others is None:
            return Sum((self.solve(task),))
        before = others(task.weight)
        left = task.weight - before.matrix()
        return before.plus(self.solve(replace(task, weight=left, unit=before.unit)))


def output_errors(
    lost: torch.Tensor, energy: torch.Tensor, moments: torch.Tensor | None
) -> torch.Tensor:
    """Return the mean square error of each output, ``[N]``, for lost weights ``[N, K]``.

    Without moments, input features are taken to be uncorrelated.
    """
    if moments is None:
        return lost.square() @ energy
    return ((lost @ moments) * lost).sum(dim=1).clamp_min(0)
