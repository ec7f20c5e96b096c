"""Two-level scales: a float of each output feature times small integers of its groups.

As in VS-Quant (arXiv 2102.04503): a group's scale costs ``scale_bits`` instead of a float.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from summand.summands.dense.solve.problem import DenseProblem, DenseSolution
from summand.summands.errors import SolveError
from summand.summands.grid import Grid
from summand.summands.scaling import search_scale

__all__ = ["Rounded", "Scales", "search_two_level", "within_limit"]


class Rounded(NamedTuple):
    """Integers and which of them are kept, as in :class:`.DenseSolution`."""

    weights: torch.Tensor
    kept: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Scales:
    """Scales of a dense summand, as in :class:`.DenseSolution`."""

    scale: torch.Tensor
    scales: torch.Tensor | None
    group: int

    @classmethod
    def search(cls, problem: DenseProblem, *, steps: int, refinements: int) -> "Scales":
        """Return the scales of least rounding error, of outputs or of groups."""
        weight, grid, energy = problem.weight, problem.grid, problem.energy
        if not problem.group:
            found = search_scale(weight, grid, energy, steps=steps, refinements=refinements)
            return cls(found, None, 0)
        scale, scales = search_two_level(
            weight, grid, energy, group=problem.group, scale_bits=problem.scale_bits
        )
        return cls(scale, scales, problem.group)

    def steps(self, k: int) -> torch.Tensor:
        """Return the step of every weight, float32 ``[N, K]`` or ``[N, 1]``; none is 0."""
        if self.scales is None:
            return self.scale[:, None]
        steps = self.scales.to(torch.float32) * self.scale[:, None]
        return steps.repeat_interleave(self.group, dim=1)[:, :k]

    def stretched(self, by: torch.Tensor) -> "Scales":
        """Return scales that are ``by`` times as large, ``[N]``."""
        return Scales(self.scale * by, self.scales, self.group)


def within_limit(
    problem: DenseProblem, scales: Scales, round_to: Callable[[torch.Tensor], Rounded]
) -> DenseSolution:
    """Round with ``round_to(steps)``; stretch the scales of outputs beyond the problem's limit.

    Raises
    ------
    SolveError
        If no scale keeps an output within it.
    """
    k = problem.weight.shape[1]
    for _ in range(64):
        q, kept = round_to(scales.steps(k))
        solution = DenseSolution(q, scales.scale, scales.scales, scales.group, kept)
        total = solution.magnitudes(problem.lift)
        over = total > problem.limit
        if not over.any():
            return solution
        scales = scales.stretched(torch.where(over, 1.02 * total / max(problem.limit, 1), 1.0))
    raise SolveError(
        f"no scale keeps the accumulators from overflowing: the magnitudes of {k} weights may add "
        f"up to {problem.limit} only; raise acc_bits, or lower act_bits or scale_bits"
    )


def search_two_level(
    weight: torch.Tensor,
    grid: Grid,
    energy: torch.Tensor,
    *,
    group: int,
    scale_bits: int,
    ratios: int = 12,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scales of least energy-weighted rounding error, searched group by group.

    The float scale is what makes the largest group's integer scale the largest there is; then
    every integer near what a group would like is tried on its weights.

    Parameters
    ----------
    weight : float32 tensor, shape ``[N, K]``
        What is to be rounded.
    energy : float32 tensor, shape ``[K]``
        How much each input feature's errors count.
    ratios : int
        Clip ratios tried for each group.

    Returns
    -------
    scale : float32 tensor, shape ``[N]``
        Positive, or negative where the weights' longer end is the positive one.
    scales : uint8 tensor, shape ``[N, ceil(K / group)]``
        1 to ``2**scale_bits - 1``.
    """
    n, k = weight.shape
    groups = -(-k // group)
    padded = torch.zeros(n, groups * group)
    padded[:, :k] = weight
    cut = padded.view(n, groups, group)
    counts = torch.zeros(groups * group)
    counts[:k] = energy
    counts = counts.view(groups, group)
    # Two's complement has one more step below zero; an output's sign gives it to the longer end.
    sign = torch.where(weight.amax(dim=1) > -weight.amin(dim=1), -1.0, 1.0)
    cut = cut * sign[:, None, None]
    full = torch.maximum(-cut.amin(dim=2) / -grid.low, cut.amax(dim=2) / max(grid.high, 1))
    # The best step of one bit is the mean magnitude, far below the largest.
    clipped = torch.linspace(1, 0.5 if grid.bits > 1 else 0.1, ratios)
    best, _ = _best_steps(cut, full, counts, grid, clipped)
    top = (1 << scale_bits) - 1
    scale = best.amax(dim=1).clamp_min_(torch.finfo(torch.float32).tiny * top) / top
    nearest = (best / scale[:, None]).round_().clamp_(1, top)
    tried = [(nearest + d).clamp_(1, top) for d in (0, -1, 1, -2, 2)]
    error = torch.stack([_errors(cut, t * scale[:, None], counts, grid) for t in tried])
    chosen = torch.stack(tried).gather(0, error.argmin(dim=0)[None])[0]
    return scale * sign, chosen.to(torch.uint8)


def _best_steps(
    cut: torch.Tensor, full: torch.Tensor, counts: torch.Tensor, grid: Grid, ratios: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each group's step of least error among ``full`` times ``ratios``, and the error."""
    best, least = full, torch.full_like(full, torch.inf)
    for ratio in ratios.tolist():
        steps = full * ratio
        error = _errors(cut, steps, counts, grid)
        better = error < least
        best, least = torch.where(better, steps, best), torch.where(better, error, least)
    return best, least


def _errors(
    cut: torch.Tensor, steps: torch.Tensor, counts: torch.Tensor, grid: Grid
) -> torch.Tensor:
    """Return weighted square errors of rounding ``[N, G, group]`` by ``steps`` ``[N, G]``."""
    safe = torch.where(steps == 0, torch.ones(()), steps)[..., None]
    q = grid.nearest_(cut / safe)
    lost = torch.addcmul(cut, q, steps[..., None], value=-1).square_()
    return (lost * counts).sum(dim=2)
