"""The low-rank summand without a dense one beside it, whose unit is then free."""

from dataclasses import replace

import torch

from summand.summands.grid import Grid
from summand.summands.lowrank.solve.problem import LowRankProblem, LowRankSolution, LowRankSolver
from summand.summands.lowrank.solve.ranks import svd_basis
from summand.summands.lowrank.solve.weighting import Weighting

__all__ = ["output_loss", "solve_alone"]

#: Units tried, as shares of the one at which the first rank's T and B are both just full.
_SHARES = (2.0, 1.0, 0.5, 0.25, 0.125)


def solve_alone(
    problem: LowRankProblem, solver: LowRankSolver, *, damping: float = 0.01
) -> tuple[LowRankSolution, torch.Tensor]:
    """Return a solution and the float32 ``[N]`` unit that was chosen for it.

    The problem's own unit is not used. Units of the outputs are in proportion to the outputs'
    sizes; a common factor decides how much of T's and of B's range the ranks get. A large one fits
    the first rank and leaves the last ones coarse, a small one lets the first saturate: the one of
    least error on the sampled tokens is taken.
    """
    weighting = Weighting.of_inputs(problem.moments, damping)
    white = weighting.white(problem.target.T.double())
    size = white.norm(dim=0)
    size = size.clamp_min(float(size.max()) * 1e-6)
    if not size.any():
        unit = torch.ones(len(size))
        return solver.solve(replace(problem, unit=unit)), unit
    first = svd_basis(white)[:, 0]
    b = white.T @ first / size
    peak = (problem.xq.double() @ weighting.back(first)).abs().max().clamp_min(1e-300)
    top = (1 << (problem.act_bits - 1)) - 1
    full = float(b.abs().max() * peak) / (top * -Grid(problem.bits).low)
    best: tuple[float, LowRankSolution, torch.Tensor] | None = None
    for share in _SHARES:
        unit = (size * (full * share)).float()
        unit = unit.clamp_min(torch.finfo(torch.float32).tiny)
        tried = replace(problem, unit=unit)
        solution = solver.solve(tried)
        loss = output_loss(tried, solution)
        if best is None or loss < best[0]:
            best = loss, solution, unit
    assert best is not None
    return best[1], best[2]


def output_loss(problem: LowRankProblem, solution: LowRankSolution) -> float:
    """Return the square error of the sampled tokens' outputs, T rounded as the engine does."""
    top = 1 << (problem.act_bits - 1)
    ratio = torch.ldexp(solution.mult.double(), -solution.shift)
    acc = problem.xq.double() @ solution.a.double()
    t = (acc * ratio + 0.5).floor_().clamp_(-top, top - 1)
    got = (t @ solution.b.double()) * problem.unit
    want = problem.xq.double() @ problem.target.T.double()
    return float(((got - want) * problem.s_x).square().sum())
