"""The quantised intermediate: how a rank's accumulator becomes an activation again."""

import math

import torch

from summand.isa import limits
from summand.summands.grid import Grid
from summand.summands.lowrank.solve.problem import LowRankProblem

__all__ = ["balance", "requantisation"]


def requantisation(ratio: float) -> tuple[int, int]:
    """Return ``(mult, shift)`` so that ``mult / 2**shift`` is nearest to a positive ratio."""
    _, exponent = math.frexp(ratio)  # ratio = m * 2**exponent, m in [0.5, 1)
    shift = limits.SHIFT.clip(limits.MULT_BITS - exponent)
    mult = round(math.ldexp(ratio, shift))
    if mult > limits.MULT.high and shift > limits.SHIFT.low:
        shift -= 1
        mult = round(math.ldexp(ratio, shift))
    return min(mult, limits.MULT.high), shift


def balance(problem: LowRankProblem, p: torch.Tensor, b: torch.Tensor) -> float:
    """Return the requantisation ratio of least error on the sampled tokens, or 0.

    A large ratio keeps the intermediate ``p * ratio`` precise until it saturates; a small one
    makes the integers ``b / (unit * ratio)`` large, hence precise, until they saturate. Ratios
    from where either is full are tried, then the neighbourhood of the best.

    Parameters
    ----------
    p : float32 tensor, shape ``[S]``
        A rank's accumulators.
    b : float32 tensor, shape ``[N]``
        What is to be added to the output for each unit of them.
    """
    top = (1 << (problem.act_bits - 1)) - 1
    grid = Grid(problem.bits)
    peak = float(p.abs().max())
    need = float((b / problem.unit).abs().max())
    if not peak or not need:
        return 0.0
    ends = math.log(top / peak), math.log(need / max(grid.high, 1))
    weight = problem.s_x[:, 0].square()

    def errors(ratios: torch.Tensor) -> torch.Tensor:
        ratios = ratios.exp()[:, None]
        t = (p * ratios).round_().clamp_(-top - 1, top) / ratios
        unit = problem.unit * ratios
        q = grid.nearest_(b / unit) * unit
        lost_t = (p - t).square() @ weight * b.square().sum()
        return lost_t + (t.square() @ weight) * (b - q).square().sum(dim=1)

    start, stop = min(ends) - 1, max(ends) + 1
    steps = min(math.ceil((stop - start) / 0.2), 80)
    coarse = torch.linspace(start, stop, steps + 1)
    best = float(coarse[int(errors(coarse).argmin())])
    step = (stop - start) / steps
    fine = torch.linspace(best - step, best + step, 13)
    return math.exp(float(fine[int(errors(fine).argmin())]))
