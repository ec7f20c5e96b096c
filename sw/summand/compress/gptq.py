"""GPTQ: round weights one input feature after another, each making up for those before it."""

from dataclasses import dataclass

import torch

from summand.compress.errors import CompressError
from summand.compress.grouping import Scales, within_limit
from summand.compress.scaling import integer_range
from summand.compress.solvers import DenseProblem, DenseSolution

__all__ = ["Gptq", "refit"]


@dataclass(frozen=True)
class Gptq:
    """GPTQ (arXiv 2210.17323) with the scales of whole outputs or of groups.

    Input features are rounded in the order of their energy, the loudest first, in blocks: what a
    block lost goes to the features after it in one product. Group scales are found before
    (features keep their groups whatever the order) and fitted again to the integers afterwards, by
    least squares under the moments; the integers are then found anew.

    Parameters
    ----------
    damping : float
        Added to the diagonal of the moments, as a share of its mean.
    block : int
        Features rounded before the others hear of it.
    refits : int
        How often group scales are fitted to the integers and these found anew.
    """

    damping: float = 0.01
    block: int = 64
    refits: int = 1

    name = "GPTQ"
    needs_moments = True

    def solve(self, problem: DenseProblem) -> DenseSolution:
        """Find scales and integers; scales that let an accumulator overflow are stretched."""
        assert problem.moments is not None
        order = problem.energy.argsort(descending=True, stable=True)
        factor = self._inverse_factor(problem.moments, order)
        scales = Scales.search(problem, steps=18, refinements=2)

        def round_to(steps: torch.Tensor) -> torch.Tensor:
            return self._round(problem, steps, order, factor)

        best = within_limit(problem, scales, round_to)
        if best.scales is None:
            return best
        least = _loss(problem, best)
        for _ in range(self.refits):
            scales = Scales(best.scale, refit(problem, best), best.group)
            tried = within_limit(problem, scales, round_to)
            loss = _loss(problem, tried)
            best = _better(tried, best, loss < least)
            least = torch.minimum(loss, least)
        return best

    def _inverse_factor(self, moments: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        """Return the upper Cholesky factor of the inverse of the damped, reordered moments."""
        h = moments.double()[order][:, order]
        h = (h + h.T) / 2
        mean = h.diagonal().mean().clamp_min(1e-30)
        damping = self.damping
        for _ in range(8):
            damped = h + torch.eye(len(h), dtype=h.dtype) * (damping * mean)
            lower, failed = torch.linalg.cholesky_ex(damped)
            if not failed:
                inverse = torch.cholesky_inverse(lower)
                return torch.linalg.cholesky(inverse, upper=True).float()
            damping *= 10
        raise CompressError(
            "the inputs' moments cannot be inverted even when damped; calibrate on more text"
        )

    def _round(
        self,
        problem: DenseProblem,
        steps: torch.Tensor,
        order: torch.Tensor,
        factor: torch.Tensor,
    ) -> torch.Tensor:
        """Return the integers ``[N, K]`` in the original order of features."""
        low, high = integer_range(problem.bits)
        # Features along the first axis: a feature's weights are then one run of memory.
        w = problem.weight.T[order].contiguous()
        step = steps.expand(-1, len(w)).T[order].contiguous()
        q = torch.empty_like(w)
        for start in range(0, len(w), self.block):
            stop = min(start + self.block, len(w))
            part, inner = w[start:stop], factor[start:stop, start:stop]
            lost = torch.empty_like(part)
            for i in range(stop - start):
                s = step[start + i]
                q[start + i] = (part[i] / s).round_().clamp_(low, high)
                lost[i] = (part[i] - q[start + i] * s) / inner[i, i]
                part[i + 1 :].addr_(inner[i, i + 1 :], lost[i], alpha=-1)
            w[stop:].addmm_(factor[start:stop, stop:].T, lost, alpha=-1)
        back = torch.empty_like(q)
        back[order] = q
        return back.T.contiguous().to(torch.int8)


def refit(problem: DenseProblem, solution: DenseSolution) -> torch.Tensor:
    """Return group scales that fit a solution's integers best, by least squares.

    With ``q_g`` an output's integers of group ``g`` and zeros elsewhere, the error ``e H e`` of
    ``e = w - sum_g s_g q_g`` is least where ``sum_j (q_g H q_j) s_j = q_g H w`` for every ``g``.
    The solutions are rounded to the integer scales there are.
    """
    assert problem.moments is not None
    assert solution.scales is not None
    n, k = problem.weight.shape
    group, groups = problem.group, solution.scales.shape[1]
    h = problem.moments
    q = solution.weights.float()

    def by_group(x: torch.Tensor) -> torch.Tensor:
        padded = torch.zeros(n, groups * group)
        padded[:, :k] = x
        return padded.view(n, groups, group).sum(dim=2)

    gram = torch.empty(n, groups, groups)
    for g in range(groups):
        part = slice(g * group, min((g + 1) * group, k))
        gram[:, g] = by_group((q[:, part] @ h[part]) * q)
    right = by_group((problem.weight @ h) * q)
    ridge = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-30) * 1e-6
    gram.diagonal(dim1=1, dim2=2).add_(ridge[:, None])
    steps = torch.linalg.solve(gram.double(), right.double()[..., None])[..., 0].float()
    top = (1 << problem.scale_bits) - 1
    return (steps / solution.scale[:, None]).round_().clamp_(1, top).to(torch.uint8)


def _loss(problem: DenseProblem, solution: DenseSolution) -> torch.Tensor:
    """Return each output's mean square error on the calibration text, ``[N]``."""
    assert problem.moments is not None
    lost = problem.weight - solution.matrix()
    return ((lost @ problem.moments) * lost).sum(dim=1)


def _better(one: DenseSolution, other: DenseSolution, choose: torch.Tensor) -> DenseSolution:
    """Return ``one``'s outputs where chosen, else ``other``'s."""
    assert one.scales is not None
    assert other.scales is not None
    return DenseSolution(
        torch.where(choose[:, None], one.weights, other.weights),
        torch.where(choose, one.scale, other.scale),
        torch.where(choose[:, None], one.scales, other.scales),
        one.group,
    )
