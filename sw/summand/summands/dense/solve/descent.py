"""Improve scales and integers in turn, holding the other fixed."""

import dataclasses

import torch

from summand.summands.dense.solve.problem import DenseProblem, DenseSolution

__all__ = ["descend", "refine", "refit"]

#: Integer weights worked out at a time between two products.
_BLOCK = 64


def refine(
    problem: DenseProblem, solution: DenseSolution, moments: torch.Tensor, *, rounds: int
) -> DenseSolution:
    """Return a solution whose error ``e H e`` is the same or less for every output.

    Parameters
    ----------
    problem : DenseProblem
        What is approximated. Its ``limit`` is kept.
    solution : DenseSolution
        Where to start.
    moments : float32 tensor, shape ``[K, K]``
        H; positive definite.
    rounds : int
        How often scales and then integers are made better.
    """
    least = _loss(problem, solution, moments)
    for _ in range(rounds):
        tried = descend(problem, refit(problem, solution, moments), moments)
        loss = _loss(problem, tried, moments)
        total = tried.magnitudes(problem.lift)
        better = (loss < least) & (total <= problem.limit)
        solution = _where(better, tried, solution)
        least = torch.where(better, loss, least)
    return solution


def refit(problem: DenseProblem, solution: DenseSolution, moments: torch.Tensor) -> DenseSolution:
    """Return the solution with better scales for its integers.

    With ``q_g`` an output's integers of group ``g`` and zeros elsewhere, the error of
    ``w - unit * sum_g s_g q_g`` under ``H`` is a quadratic form in the unit and in the integers
    ``s_g``: the unit is fitted, then each ``s_g`` in turn, then the unit again.
    """
    n, k = problem.weight.shape
    group = solution.group or k
    groups = -(-k // group)
    q = solution.weights.float()

    def by_group(x: torch.Tensor) -> torch.Tensor:
        padded = torch.zeros(n, groups * group)
        padded[:, :k] = x
        return padded.view(n, groups, group).sum(dim=2)

    gram = torch.empty(n, groups, groups)
    for g in range(groups):
        part = slice(g * group, min((g + 1) * group, k))
        gram[:, g] = by_group((q[:, part] @ moments[part]) * q)
    right = by_group((problem.weight @ moments) * q)
    if solution.scales is None:
        ones = torch.ones(n, 1)
        return dataclasses.replace(solution, scale=_unit(gram, right, ones, solution.scale))
    s = solution.scales.float()
    unit = _unit(gram, right, s, solution.scale)
    top = (1 << problem.scale_bits) - 1
    for _ in range(2):
        rest = right / unit[:, None] - torch.einsum("nab,nb->na", gram, s)
        for g in range(groups):
            own = gram[:, g, g]
            new = (s[:, g] + rest[:, g] / own.clamp_min(1e-30)).round_().clamp_(1, top)
            new = torch.where(own > 0, new, s[:, g])
            rest -= (new - s[:, g])[:, None] * gram[:, g]
            s[:, g] = new
        unit = _unit(gram, right, s, unit)
    return dataclasses.replace(solution, scale=unit, scales=s.to(torch.uint8))


def _unit(
    gram: torch.Tensor, right: torch.Tensor, s: torch.Tensor, now: torch.Tensor
) -> torch.Tensor:
    """Return the units ``[N]`` of least error for group scales ``s``, or ``now``."""
    above = (right * s).sum(dim=1)
    below = (torch.einsum("nab,nb->na", gram, s) * s).sum(dim=1)
    found = above / below.clamp_min(1e-30)
    good = (below > 1e-30) & (found.abs() > 1e-30) & torch.isfinite(found)
    return torch.where(good, found, now)


def descend(problem: DenseProblem, solution: DenseSolution, moments: torch.Tensor) -> DenseSolution:
    """Return the solution with every integer set, one after another, to what suits the others.

    Cyclic coordinate descent: with all other weights held, an integer's best value is a rounded
    quotient. Integers that are not kept stay 0.
    """
    k = problem.weight.shape[1]
    kept = None if solution.kept is None else solution.kept.T.contiguous()
    # Features along the first axis: a feature's weights are then one run of memory.
    q = solution.weights.T.float().contiguous()
    step = _spread(solution, k)
    error = q * step - problem.weight.T
    for start in range(0, k, _BLOCK):
        stop = min(start + _BLOCK, k)
        slope = moments[start:stop] @ error
        for i in range(start, stop):
            own = moments[i, i]
            new = problem.grid.nearest_(q[i] - slope[i - start] / (own * step[i]))
            if kept is not None:
                new.mul_(kept[i])
            moved = (new - q[i]).mul_(step[i])
            q[i] = new
            error[i] += moved
            slope[i - start + 1 :].addr_(moments[i, i + 1 : stop], moved)
    return dataclasses.replace(solution, weights=q.T.contiguous().to(torch.int16))


def _spread(solution: DenseSolution, k: int) -> torch.Tensor:
    """Return the step of every weight, ``[K, N]``."""
    if solution.scales is None:
        return solution.scale[None].expand(k, -1)
    steps = solution.scales.T.float() * solution.scale
    return steps.repeat_interleave(solution.group, dim=0)[:k]


def _loss(problem: DenseProblem, solution: DenseSolution, moments: torch.Tensor) -> torch.Tensor:
    """Return each output's mean square error, ``[N]``."""
    lost = problem.weight - solution.matrix()
    return ((lost @ moments) * lost).sum(dim=1)


def _where(choose: torch.Tensor, one: DenseSolution, other: DenseSolution) -> DenseSolution:
    """Return ``one``'s outputs where chosen, else ``other``'s; both keep the same integers."""
    scales = None
    if one.scales is not None and other.scales is not None:
        scales = torch.where(choose[:, None], one.scales, other.scales)
    return dataclasses.replace(
        one,
        weights=torch.where(choose[:, None], one.weights, other.weights),
        scale=torch.where(choose, one.scale, other.scale),
        scales=scales,
    )
