"""GPTQ: round weights one input feature after another, each making up for those before it."""

import dataclasses
from dataclasses import dataclass

import torch

from summand.summands.dense.solve.descent import refine
from summand.summands.dense.solve.grouping import Scales, within_limit
from summand.summands.dense.solve.problem import DenseProblem, DenseSolution
from summand.summands.errors import SolveError

__all__ = ["Gptq"]

#: Outputs worked on at a time, and the numbers in their group scales' Gram matrices.
_OUTPUTS = 4096
_GRAMS = 1 << 24


@dataclass(frozen=True)
class Gptq:
    """GPTQ (arXiv 2210.17323) with the scales of whole outputs or of groups.

    Input features are rounded in the order of their energy, the loudest first, in blocks: what a
    block lost goes to the features after it in one product. Group scales are found before (features
    keep their groups whatever the order). Afterwards scales are fitted to the integers and the
    integers to the scales. Outputs are worked on some thousand at a time, which bounds memory.

    Parameters
    ----------
    damping : float
        Added to the diagonal of the moments, as a share of its mean.
    block : int
        Features rounded before the others hear of it.
    rounds : int
        How often scales and integers are made better afterwards; see
        :func:`~summand.summands.dense.solve.descent.refine`.
    """

    damping: float = 0.1
    block: int = 64
    rounds: int = 1

    name = "GPTQ"
    needs_moments = True

    def solve(self, problem: DenseProblem) -> DenseSolution:
        """Find scales and integers; scales that let an accumulator overflow are stretched."""
        assert problem.moments is not None
        order = problem.energy.argsort(descending=True, stable=True)
        damped, factor = self._factor(problem.moments, order)
        chunk = max(1, min(_OUTPUTS, _GRAMS // self._groups(problem) ** 2))
        return _joined(
            [
                self._solve(dataclasses.replace(problem, weight=part), order, factor, damped)
                for part in problem.weight.split(chunk)
            ]
        )

    def _solve(
        self,
        problem: DenseProblem,
        order: torch.Tensor,
        factor: torch.Tensor,
        damped: torch.Tensor,
    ) -> DenseSolution:
        scales = Scales.search(problem, steps=18, refinements=2)

        def round_to(steps: torch.Tensor) -> torch.Tensor:
            return self._round(problem, steps, order, factor)

        found = within_limit(problem, scales, round_to)
        return refine(problem, found, damped, rounds=self.rounds)

    @staticmethod
    def _groups(problem: DenseProblem) -> int:
        k = problem.weight.shape[1]
        return -(-k // (problem.group or k))

    def _factor(
        self, moments: torch.Tensor, order: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the damped moments, and the upper factor of their inverse behind ``order``.

        The factor ``U`` with ``U^T U = H^-1`` is the inverse of the upper ``R`` with
        ``R R^T = H``, and that is the Cholesky factor of ``H`` read backwards: one decomposition
        and the inverse of a triangle. Both are float32, of the shape of ``moments``.
        """
        damped = (moments + moments.T).div_(2)
        mean = damped.diagonal().mean().clamp_min(1e-30)
        backwards = order.flip(0)
        damping, added = self.damping, 0.0
        for _ in range(8):
            damped.diagonal().add_((damping - added) * mean)
            lower, failed = torch.linalg.cholesky_ex(damped[backwards][:, backwards].double())
            if not failed:
                lower = lower.float()
                inverse = torch.linalg.solve_triangular(lower, torch.eye(len(lower)), upper=False)
                return damped, inverse.flip(0, 1)
            damping, added = 10 * damping, damping
        raise SolveError(
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
                q[start + i] = problem.grid.nearest_(part[i] / s)
                lost[i] = (part[i] - q[start + i] * s) / inner[i, i]
                part[i + 1 :].addr_(inner[i, i + 1 :], lost[i], alpha=-1)
            w[stop:].addmm_(factor[start:stop, stop:].T, lost, alpha=-1)
        back = torch.empty_like(q)
        back[order] = q
        return back.T.contiguous().to(torch.int16)


def _joined(parts: list[DenseSolution]) -> DenseSolution:
    """Return the solution whose outputs are those of all parts."""
    first, *rest = parts
    if not rest:
        return first
    scales = [part.scales for part in parts if part.scales is not None]
    return DenseSolution(
        torch.cat([part.weights for part in parts]),
        torch.cat([part.scale for part in parts]),
        torch.cat(scales) if scales else None,
        first.group,
    )
