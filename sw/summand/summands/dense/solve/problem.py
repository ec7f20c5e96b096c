"""The problem that a dense solver solves, and its solution."""

from dataclasses import dataclass
from typing import Protocol

import torch

from summand.isa.patterns import SparsePattern
from summand.summands.grid import Grid

__all__ = ["DenseProblem", "DenseSolution", "DenseSolver"]


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseProblem:
    """Find integers and scales for a weight matrix.

    Parameters
    ----------
    weight : float32 tensor, shape ``[N, K]``
        As in ``nn.Linear``; finite.
    grid : Grid
        The integers that weights may become.
    energy : float32 tensor, shape ``[K]``
        Mean square of each input feature on the calibration text; positive.
    moments : float32 tensor, shape ``[K, K]``, optional
        Mean of ``x^T x``; there when the solver asks for it.
    limit : int
        Most that the magnitudes of one output feature's integers, times their group's scale and
        ``lift``, may add up to, so that no accumulator can overflow.
    group : int
        Input features that share an integer scale; 0 for none, one scale an output.
    scale_bits : int
        Of these integer scales, 1 to 8; 0 without groups.
    lift : int64 tensor, shape ``[K]``, optional
        What borders between groups of channels multiply each feature's products by.
    pattern : SparsePattern, optional
        How many integers of each block may be other than 0; without it, all.
    score : str
        What the kept ones have most of, one of :data:`~summand.summands.patterns.SCORES`.
    """

    weight: torch.Tensor
    grid: Grid
    energy: torch.Tensor
    moments: torch.Tensor | None
    limit: int
    group: int = 0
    scale_bits: int = 0
    lift: torch.Tensor | None = None
    pattern: SparsePattern | None = None
    score: str = "sparsegpt"


@dataclass(frozen=True, eq=False)
class DenseSolution:
    """The integers and scales of a weight matrix.

    Parameters
    ----------
    weights : int16 tensor, shape ``[N, K]``
        Integers of the problem's grid.
    scale : float32 tensor, shape ``[N]``
        The unit of each output feature.
    scales : uint8 tensor, shape ``[N, ceil(K / group)]``, optional
        What each group's integers are multiplied by, with ``group``.
    group : int
        Input features that share one of these; 0 without.
    kept : bool tensor, shape ``[N, K]``, optional
        Where a pattern lets integers be other than 0.
    """

    weights: torch.Tensor
    scale: torch.Tensor
    scales: torch.Tensor | None = None
    group: int = 0
    kept: torch.Tensor | None = None

    def integers(self) -> torch.Tensor:
        """Return weights times group scales, int32 ``[N, K]``."""
        wide = self.weights.to(torch.int32)
        if self.scales is None:
            return wide
        spread = self.scales.to(torch.int32).repeat_interleave(self.group, dim=1)
        return wide * spread[:, : wide.shape[1]]

    def magnitudes(self, lift: torch.Tensor | None) -> torch.Tensor:
        """Return the sum of magnitudes of each output's integers times ``lift``, int64 ``[N]``."""
        sizes = self.integers().abs_()
        return (sizes if lift is None else sizes * lift).sum(dim=1, dtype=torch.int64)

    def matrix(self) -> torch.Tensor:
        """Return the float32 ``[N, K]`` matrix it stands for."""
        return self.integers() * self.scale[:, None]


class DenseSolver(Protocol):
    """Quantises weights."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    @property
    def needs_moments(self) -> bool:
        """Whether it uses ``moments``."""
        ...

    def solve(self, problem: DenseProblem) -> DenseSolution:
        """Return integers of ``grid``, within ``limit``."""
        ...
