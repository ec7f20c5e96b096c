"""Integer ranks, one after another: the step that all low-rank solvers share."""

import math
from collections.abc import Callable

import torch

from summand.summands.errors import SolveError
from summand.summands.grid import Grid
from summand.summands.lowrank.solve.intermediate import balance, requantisation
from summand.summands.lowrank.solve.problem import LowRankProblem, LowRankSolution
from summand.summands.lowrank.solve.weighting import Weighting
from summand.summands.scaling import search_scale

__all__ = ["Direction", "Ranks", "leading", "quantise_ranks", "svd_basis"]


class Ranks:
    """A target and the ranks that have been taken from it, in whitened coordinates.

    Parameters
    ----------
    target : float64 tensor, shape ``[K, N]``
        ``L^T W``.
    rank : int
        How many there will be at most.
    """

    def __init__(self, target: torch.Tensor, rank: int):
        k, n = target.shape
        self.target = target
        self.done = 0
        self._u = torch.zeros(rank, k, dtype=target.dtype)
        self._b = torch.zeros(rank, n, dtype=target.dtype)

    @property
    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The ranks so far as they are in the stream: ``[K, r]`` and ``[r, N]``."""
        return self._u[: self.done].T, self._b[: self.done]

    def add(self, u: torch.Tensor, b: torch.Tensor) -> None:
        """Take another rank, ``[K]`` and ``[N]``, from the target."""
        self._u[self.done], self._b[self.done] = u, b
        self.done += 1

    def times(self, v: torch.Tensor) -> torch.Tensor:
        """Return what is left times ``v`` ``[N, k]``."""
        u, b = self.factors
        return self.target @ v - u @ (b @ v)

    def transposed_times(self, u: torch.Tensor) -> torch.Tensor:
        """Return the transpose of what is left times ``u`` ``[K, k]``."""
        done, b = self.factors
        return self.target.T @ u - b.T @ (done.T @ u)


#: Chooses the next rank's whitened direction, ``[K]``, from what is left.
Direction = Callable[[Ranks], torch.Tensor]


def quantise_ranks(
    problem: LowRankProblem, weighting: Weighting, direction: Direction, *, feedback: bool
) -> LowRankSolution:
    """Quantise rank after rank; no rank depends on how many come after it.

    For each rank the direction is rounded to a column of ``A`` (whose scale nobody needs to know),
    a row of ``B`` is fitted to it by least squares, the requantisation between them is chosen on
    the sampled tokens, and the row is rounded to the grid that follows from it.

    Parameters
    ----------
    direction : callable
        Called before each rank.
    feedback : bool
        Whether a row is fitted to what the ranks before it left, their rounding included, rather
        than to the target.
    """
    n, k = problem.target.shape
    if not 1 <= problem.rank <= min(n, k):
        raise SolveError(f"rank must be 1 to {min(n, k)}, not {problem.rank}")
    grid = Grid(problem.bits)
    ranks = Ranks(weighting.white(problem.target.T.double()), problem.rank)
    a = torch.zeros(k, problem.rank, dtype=torch.int8)
    out = torch.zeros(problem.rank, n, dtype=torch.int8)
    mults, shifts = [], []
    for r in range(problem.rank):
        column = _round_column(problem, weighting, weighting.back(direction(ranks)))
        u = weighting.white(column.double())
        left = ranks.transposed_times(u[:, None]) if feedback else ranks.target.T @ u[:, None]
        b = left[:, 0] / u.square().sum().clamp_min(1e-300)
        # Column by column: a product's last bits depend on its shape, and ranks would on their
        # number.
        p = problem.xq @ column
        mult, shift = requantisation(balance(problem, p, b.float()))
        unit = problem.unit.double() * math.ldexp(mult, -shift)
        q = grid.nearest_(b / unit) if mult else torch.zeros_like(b)
        ranks.add(u, q * unit)
        a[:, r], out[r] = column.to(torch.int8), q.to(torch.int8)
        mults.append(mult)
        shifts.append(shift)
    return LowRankSolution(a, out, torch.tensor(mults), torch.tensor(shifts))


def _round_column(
    problem: LowRankProblem, weighting: Weighting, direction: torch.Tensor
) -> torch.Tensor:
    """Return whole numbers ``[K]`` in float32, whose magnitudes stay within the limit."""
    grid = Grid(problem.bits)
    row = direction.float()[None]
    if not row.any():
        return row[0]
    row = row / row.abs().max()
    scale = search_scale(row, grid, weighting.energy, steps=18, refinements=2)
    for _ in range(64):
        q = grid.nearest_(row / scale[:, None])
        total = float((q if problem.lift is None else q * problem.lift).abs().sum())
        if total <= problem.limit:
            return q[0]
        scale = scale * (1.02 * total / max(problem.limit, 1))
    raise SolveError(
        f"no scale keeps the low-rank intermediate from overflowing: the magnitudes of "
        f"{row.shape[1]} weights may add up to {problem.limit} only; raise acc_bits"
    )


def svd_basis(matrix: torch.Tensor) -> torch.Tensor:
    """Return the left singular vectors of a ``[K, N]`` matrix, largest first, as columns.

    From the eigenvectors of the smaller Gram matrix, which is much quicker than the
    decomposition itself.
    """
    if matrix.shape[0] <= matrix.shape[1]:
        return torch.linalg.eigh(matrix @ matrix.T)[1].flip(1)
    left = matrix @ torch.linalg.eigh(matrix.T @ matrix)[1].flip(1)
    return left / left.norm(dim=0).clamp_min(1e-300)


def leading(ranks: Ranks, start: torch.Tensor, rounds: int) -> torch.Tensor:
    """Return left singular vectors of what is left, ``[K, k]``, largest first.

    By subspace iteration from ``start`` ``[K, k]``: the first is all but exact where the start
    contains most of it.
    """
    block = torch.linalg.qr(start)[0]
    for _ in range(rounds):
        block = torch.linalg.qr(ranks.times(ranks.transposed_times(block)))[0]
    image = ranks.transposed_times(block)
    return block @ torch.linalg.eigh(image.T @ image)[1].flip(1)
