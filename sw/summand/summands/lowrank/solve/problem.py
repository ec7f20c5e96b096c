"""The problem that a low-rank solver solves, and its solution."""

from dataclasses import dataclass
from typing import Protocol

import torch

__all__ = ["LowRankProblem", "LowRankSolution", "LowRankSolver"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LowRankProblem:
    """Find integer factors for what other summands leave.

    Parameters
    ----------
    target : float32 tensor, shape ``[N, K]``
        What ``x @ target.T`` should add to the output.
    unit : float32 tensor, shape ``[N]``
        The accumulator's unit of each output feature; not zero.
    rank : int
        1 to ``min(N, K)``.
    bits : int
        Of both factors, 1 to 8.
    moments : float32 tensor, shape ``[K, K]``
        Mean of ``x^T x`` on the calibration text.
    xq : float32 tensor, shape ``[S, K]``
        Tokens of the calibration text as the engine sees them: whole numbers, times ``lift``.
    s_x : float32 tensor, shape ``[S, 1]``
        Their scales.
    act_bits : int
        Of activations and of the intermediate.
    limit : int
        Most that the magnitudes of a column of ``a``, times ``lift``, may add up to.
    lift : int64 tensor, shape ``[K]``, optional
        What borders between groups of channels multiply each feature's products by.
    """

    target: torch.Tensor
    unit: torch.Tensor
    rank: int
    bits: int
    moments: torch.Tensor
    xq: torch.Tensor
    s_x: torch.Tensor
    act_bits: int
    limit: int
    lift: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class LowRankSolution:
    """Factors as in :class:`~summand.summands.lowrank.LowRank`: int8 ``[K, R]`` and ``[R, N]``.

    ``mult`` and ``shift`` are int64 ``[R]``: 0 to 65535, and 1 to 47.
    """

    a: torch.Tensor
    b: torch.Tensor
    mult: torch.Tensor
    shift: torch.Tensor

    @property
    def rank(self) -> int:
        """Columns of ``a``."""
        return self.a.shape[1]

    def first(self, rank: int) -> "LowRankSolution":
        """Return the first ranks alone: what the solver gives when it is asked for no more."""
        if not 1 <= rank <= self.rank:
            raise ValueError(f"rank must be 1 to {self.rank}, not {rank}")
        part = slice(rank)
        return LowRankSolution(self.a[:, part], self.b[part], self.mult[part], self.shift[part])

    def matrix(self, unit: torch.Tensor) -> torch.Tensor:
        """Return the float32 ``[N, K]`` matrix it stands for, with the accumulator's unit."""
        ratio = torch.ldexp(self.mult.double(), -self.shift)
        return ((self.a * ratio) @ self.b.double() * unit.double()).T.float()


class LowRankSolver(Protocol):
    """Factorises a matrix into integers, rank by rank.

    Ranks are nested: the first ranks of a solution are what the same problem with a lower
    ``rank`` gives, so that one decomposition serves all of them.
    """

    @property
    def name(self) -> str:
        """For reports."""
        ...

    def solve(self, problem: LowRankProblem) -> LowRankSolution:
        """Return factors of ``bits`` and the requantisation between them."""
        ...
