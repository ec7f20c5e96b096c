"""GPTQ: round weights one input feature after another, each making up for those before it."""

import dataclasses
from dataclasses import dataclass

import torch

from summand.summands.dense.solve.descent import refine
from summand.summands.dense.solve.grouping import Rounded, Scales, within_limit
from summand.summands.dense.solve.problem import DenseProblem, DenseSolution
from summand.summands.inverse import Inverse
from summand.summands.pruning import best_of_blocks, saliency

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

    With a pattern its blocks are taken whole, the loudest first, and weights that are not kept are
    rounded to 0, for which the features after them make up too, as in SparseGPT (arXiv 2301.00774).
    The score ``"sparsegpt"`` chooses them when their block's turn comes, from what the features
    before it have made of it; the others choose by the weights as they were.

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
        order = _order(problem)
        inverse = Inverse(problem.moments, order, self.damping)
        chunk = max(1, min(_OUTPUTS, _GRAMS // self._groups(problem) ** 2))
        return _joined(
            [
                self._solve(dataclasses.replace(problem, weight=part), order, inverse)
                for part in problem.weight.split(chunk)
            ]
        )

    def _solve(self, problem: DenseProblem, order: torch.Tensor, inverse: Inverse) -> DenseSolution:
        first, scaled = None, problem
        if problem.pattern is not None:
            diagonal = inverse.diagonal()
            scores = saliency(problem.score, problem.weight, problem.energy, diagonal)
            first = best_of_blocks(scores, problem.pattern)
            scaled = dataclasses.replace(problem, weight=problem.weight * first)
        scales = Scales.search(scaled, steps=18, refinements=2)

        def round_to(steps: torch.Tensor) -> Rounded:
            return self._round(problem, steps, order, inverse.factor, first)

        found = within_limit(problem, scales, round_to)
        return refine(problem, found, inverse.damped, rounds=self.rounds)

    @staticmethod
    def _groups(problem: DenseProblem) -> int:
        k = problem.weight.shape[1]
        return -(-k // (problem.group or k))

    def _round(
        self,
        problem: DenseProblem,
        steps: torch.Tensor,
        order: torch.Tensor,
        factor: torch.Tensor,
        first: torch.Tensor | None,
    ) -> Rounded:
        """Return the integers ``[N, K]`` in the original order of features.

        ``first`` are the weights that would be kept as they are, ``[N, K]``, if there is a pattern.
        """
        # Features along the first axis: a feature's weights are then one run of memory.
        w = problem.weight.T[order].contiguous()
        step = steps.expand(-1, len(w)).T[order].contiguous()
        kept = None if first is None else first.T[order].contiguous()
        pattern = problem.pattern if problem.score == "sparsegpt" else None
        whole = problem.pattern.block if problem.pattern else 1
        size = max(self.block - self.block % whole, whole)
        q = torch.empty_like(w)
        for start in range(0, len(w), size):
            stop = min(start + size, len(w))
            part, inner = w[start:stop], factor[start:stop, start:stop]
            lost = torch.empty_like(part)
            for i in range(stop - start):
                if pattern is not None and kept is not None and not i % whole:
                    turn = slice(i, i + whole)
                    scores = part[turn].square() / inner.diagonal()[turn, None].square()
                    kept[start + i : start + i + whole] = best_of_blocks(scores.T, pattern).T
                s = step[start + i]
                q[start + i] = problem.grid.nearest_(part[i] / s)
                if kept is not None:
                    q[start + i] *= kept[start + i]
                lost[i] = (part[i] - q[start + i] * s) / inner[i, i]
                part[i + 1 :].addr_(inner[i, i + 1 :], lost[i], alpha=-1)
            w[stop:].addmm_(factor[start:stop, stop:].T, lost, alpha=-1)
        return Rounded(
            _in_order(q, order).to(torch.int16), None if kept is None else _in_order(kept, order)
        )


def _order(problem: DenseProblem) -> torch.Tensor:
    """Return the features in the order in which they are rounded; blocks of a pattern together."""
    energy = problem.energy
    if problem.pattern is None:
        return energy.argsort(descending=True, stable=True)
    blocks = energy.view(-1, problem.pattern.block)
    inside = blocks.argsort(dim=1, descending=True, stable=True)
    first = torch.arange(0, len(energy), problem.pattern.block)
    order = blocks.sum(dim=1).argsort(descending=True, stable=True)
    return (inside + first[:, None])[order].flatten()


def _in_order(rows: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Return rows ``[K, N]`` as ``[N, K]``, features in their own order again."""
    back = torch.empty_like(rows)
    back[order] = rows
    return back.T.contiguous()


def _joined(parts: list[DenseSolution]) -> DenseSolution:
    """Return the solution whose outputs are those of all parts."""
    first, *rest = parts
    if not rest:
        return first

    def of_all(some: list[torch.Tensor | None]) -> torch.Tensor | None:
        there = [part for part in some if part is not None]
        return torch.cat(there) if there else None

    return DenseSolution(
        torch.cat([part.weights for part in parts]),
        torch.cat([part.scale for part in parts]),
        of_all([part.scales for part in parts]),
        first.group,
        of_all([part.kept for part in parts]),
    )
