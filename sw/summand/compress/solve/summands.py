"""The summands of one layer together: which is found first, and what the other takes."""

from dataclasses import dataclass, replace

import torch

from summand.compress.errors import CompressError
from summand.compress.solve.lowrank.alone import solve_alone
from summand.compress.solve.solvers import (
    DenseProblem,
    DenseSolution,
    DenseSolver,
    LowRankProblem,
    LowRankSolution,
    LowRankSolver,
)
from summand.recipe.options import ORDERS

__all__ = ["Summands", "solve_summands"]

_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Summands:
    """Integers of a layer.

    Parameters
    ----------
    dense : DenseSolution, optional
        At least one of the two is there.
    low_rank : LowRankSolution, optional
        The other.
    unit : float32 tensor, shape ``[N]``
        Of the accumulator.
    acc_shift : int
        How far the dense sum is shifted before the low-rank sum is added.
    """

    dense: DenseSolution | None
    low_rank: LowRankSolution | None
    unit: torch.Tensor
    acc_shift: int = 0

    def matrix(self) -> torch.Tensor:
        """Return the float32 ``[N, K]`` matrix they stand for, rounding of T aside."""
        total = None if self.dense is None else self.dense.matrix()
        if self.low_rank is not None:
            low_rank = self.low_rank.matrix(self.unit)
            total = low_rank if total is None else total + low_rank
        assert total is not None
        return total


def solve_summands(
    dense: DenseProblem | None,
    low_rank: LowRankProblem | None,
    *,
    dense_solver: DenseSolver,
    low_rank_solver: LowRankSolver,
    acc_shift: int = 0,
    order: str = "after",
) -> Summands:
    """Find a layer's summands.

    Parameters
    ----------
    dense : DenseProblem, optional
        Of the whole weight matrix; without it, the low-rank summand is alone.
    low_rank : LowRankProblem, optional
        Of the whole weight matrix too; its unit is not used.
    acc_shift : int
        How far the dense sum is shifted before the low-rank sum is added.
    order : str
        ``"after"``: the low-rank summand takes what the dense one leaves. ``"before"``: it is
        found first and the dense one takes what it leaves; as it is large then, it goes without
        the shift where that loses less. ``"alternating"``: one after the other
        several times, each on what the other leaves, as in LQ-LoRA (arXiv 2311.12023); the pair of
        least error under the inputs' moments is kept, the first of which is that of ``"after"``.
    """
    if order not in ORDERS:
        raise CompressError(f"order must be {', '.join(ORDERS)}, not {order!r}")
    if dense is None:
        if low_rank is None:
            raise CompressError("a layer needs a dense or a low-rank summand: bits or a rank")
        solution, unit = solve_alone(low_rank, low_rank_solver)
        return Summands(None, solution, unit)
    if low_rank is None:
        found = dense_solver.solve(dense)
        return Summands(found, None, found.scale)
    weight = dense.weight

    def pair(
        taken: torch.Tensor | None, target: torch.Tensor | None = None, shift: int = acc_shift
    ) -> Summands:
        """Solve dense for the weight less what is taken, low-rank for a target or what is left."""
        found = dense_solver.solve(
            dense if taken is None else replace(dense, weight=weight - taken)
        )
        unit = found.scale * 2.0**-shift
        left = weight - found.matrix() if target is None else target
        solution = low_rank_solver.solve(replace(low_rank, target=left, unit=unit))
        return Summands(found, solution, unit, shift)

    if order == "before":
        solution, unit = solve_alone(low_rank, low_rank_solver)
        first = solution.matrix(unit)
        pairs = [pair(first, first, shift) for shift in {acc_shift, 0}]
        return min(pairs, key=lambda p: _loss(low_rank, p))
    best = pair(None)
    if order == "alternating":
        least, last = _loss(low_rank, best), best
        for _ in range(_ROUNDS - 1):
            assert last.low_rank is not None
            last = pair(last.low_rank.matrix(last.unit))
            if (loss := _loss(low_rank, last)) < least:
                best, least = last, loss
    return best


def _loss(problem: LowRankProblem, found: Summands) -> float:
    """Return the mean square error of the outputs on the calibration text."""
    lost = problem.target - found.matrix()
    return float(((lost @ problem.moments) * lost).sum())
